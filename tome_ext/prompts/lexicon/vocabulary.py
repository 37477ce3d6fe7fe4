"""Closed word classes and the few open ones in which a dictionary's view does not fit a prompt's."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ARTICLES = _words("a an the")
DETERMINERS = ARTICLES | _words(
    "whose this that these those my your his her its our their some any each every another both all several"
    " many few multiple various numerous one two three four five six seven eight nine ten eleven twelve dozen"
    " couple exactly"
)
SINGULAR = _words("a an one each every this that another")
PLURAL = _words("these those both all several many few multiple two three four five six seven eight nine ten dozen")
# Words that stand for an object named before: "one with red hair and the other with blonde hair".
STANDS_FOR = _words("one other others another first second third former latter")
ALL_OF = _words("both each all")
# Words after which nothing is bound: what they deny stays in the prompt as it is.
NEGATIONS = _words(
    "no not without never nor neither non lacking cannot can't isn't aren't wasn't weren't doesn't don't didn't"
    " hasn't haven't hadn't won't wouldn't couldn't shouldn't isnt arent doesnt dont didnt minus w/o"
)
PRONOUNS = _words(
    "i you he she it we they me him them us who whom which what there here someone something everyone"
    " everything nobody nothing somewhere anywhere everywhere nowhere else himself herself itself themselves"
    " other others looking"
)
CONJUNCTIONS = _words("and or & plus")
COPULAS = _words("is are was were be being been looks look seems seem appears appear becomes")
HAVE = _words("has have having had featuring features possessing")
RELATIVES = _words("that which who")
# Verbs whose object is a sub-object of their subject.
HOLDING = _words(
    "wearing wears wear holding holds hold carrying carries carry wielding wields wield donning clutching"
    " gripping grasping sporting brandishing"
)
# Participles that open a sub-object phrase together with a preposition: "dressed in a blue coat".
DRESSED = _words("dressed clad adorned decorated covered wrapped equipped armed crowned topped filled made trimmed")
DRESSED_PREPOSITIONS = _words("in with of from by")
WITH = _words("with w/")
PREPOSITIONS = _words(
    "in on at of to from by for into onto over under above below beneath behind beside besides between near"
    " next around against along across through inside outside within upon atop off beyond underneath alongside"
    " toward towards among amid amidst during like as than vs versus via per up down out past opposite facing"
    " after before while when where because if but so though although until since about amongst aboard et then"
)
# Nouns that say where something is or how much of it there is; neither is an object.
POSITIONS = _words(
    "left right top bottom front back middle center centre side sides corner corners background foreground"
    " distance edge rear midst end ends front-left left-hand right-hand halves half"
)
# "right of", "left of": prepositions of two words.
SIDES = _words("left right north south east west")
MEASURES = _words(
    "pair pairs group groups set sets bunch herd flock crowd pack couple lot lots team row rows pile piles"
    " stack stacks number series collection kind type piece pieces slice slices"
)
PARTICLES = _words("up down away off out over together around back forward apart")
AUXILIARIES = _words("do does did can could will would shall should may might must to always also")
# Past forms that look like nouns or colours: "a tower rose high into the sky".
PAST_FORMS = _words("rose stood sat lay hung ran flew fell shone wore held")
# What may follow a noun and belongs to the clause: "one rose present", "tipped upside down".
TRAILING = _words("present visible available upside nearby together closeby close-by alone aloft overhead")
# Verbs that put on: of these, only a colour is enough ("wearing red").
WEARING = _words("wearing wears wear donning")
SAYING = _words(
    "says say saying reads reading written titled labelled labeled captioned spelling spells words word text"
)
INTENSIFIERS = _words(
    "very extremely highly quite really super so too incredibly slightly mostly partly partially deep deeply"
    " pale light dark bright hot neon pastel vivid dusty"
)
COLOURS = _words(
    "red orange yellow green blue purple violet pink brown black white gray grey beige tan gold golden silver"
    " bronze turquoise teal cyan magenta maroon navy crimson scarlet indigo lavender lilac ivory cream khaki"
    " olive amber coral peach salmon mint emerald sapphire ruby jade azure burgundy mauve fuchsia charcoal"
    " copper blonde blond brunette ginger multicolored multicoloured colorful colourful rainbow monochrome aqua"
    " auburn rose chartreuse ochre platinum transparent reddish bluish greenish yellowish multi-colored"
    " multi-coloured pinkish purplish brownish grayish greyish orangish blueish lime plum mustard taupe sienna"
    " sepia cerulean cobalt vermilion iridescent holographic opalescent translucent"
)
# Nouns that say which red or blue it is: "sky blue", "jet black".
SHADES = _words(
    "sky blood jet ebony raven coal pitch snow ash strawberry platinum baby royal midnight forest lime mint sea"
    " ocean navy cherry wine brick fire apple grass lemon butter canary candy rose steel ice electric hunter"
    " army emerald ruby sapphire amber honey chocolate coffee chestnut peach salmon coral powder sunset"
    " bubblegum moss leaf olive tomato rust sand charcoal slate silver golden tiffany cobalt cyan crimson hot"
    " bright jade pearl cream"
)
MATERIALS = _words(
    "wood wooden metal metallic leather glass plastic rubber fabric cotton silk wool woolen woollen velvet"
    " denim lace satin linen fur stone marble granite brick concrete clay ceramic porcelain paper cardboard"
    " steel iron brass chrome aluminum aluminium tin stainless crystal diamond ice wicker bamboo straw wax foam"
    " felt nylon polyester suede fluffy furry knitted quilted woven wire gemstone pearl latex vinyl tile tiled"
    " mesh lava obsidian marbled jeweled bejeweled rusty mossy"
)
# How a surface looks or feels: attributes even of places ("the bumpy road").
SURFACES = _words(
    "smooth rough bumpy shiny glossy matte dark bright sandy rocky muddy dusty grassy snowy icy wet dry"
    " slippery sticky spiky jagged prickly fuzzy soft hard striped spotted checkered chequered polka-dotted"
    " dotted plaid patterned paved cobbled cobblestone wrinkled crumpled cracked broken burnt burned frosted"
    " grimy dirty clean polished delicate warm cold sharp crisp crunchy heavy gnarled twisted lush bare empty"
    " crowded bald furrowed steep"
)
SHAPES = _words(
    "round square oval rectangular triangular circular spherical cubic cubical cylindrical conical pyramidal"
    " pentagonal hexagonal octagonal oblong crescent teardrop diamond curved flat pointed pointy spiral"
    " heart-shaped star-shaped l-shaped u-shaped"
)
# The last part of a compound attribute: "triangle-shaped", "glass-textured".
ATTRIBUTE_ENDINGS = _words(
    "shaped textured colored coloured toned skinned haired eyed sized patterned striped themed like looking"
    " style green blue red pink brown black white gray grey yellow orange purple blonde"
)
SIZES = _words(
    "big small large little tiny huge giant gigantic enormous massive tall short long wide narrow thick thin"
    " miniature mini micro oversized old young new ancient antique vintage modern midsized medium-sized medium"
    " life-sized"
)
HARD_ATTRIBUTES = COLOURS | MATERIALS | SHAPES | SIZES
# Colours and the like that are things as well: "a brown orange".
ALSO_THINGS = _words(
    "lime plum mustard jeweled orange rose gold silver glass ice stone brick paper crystal diamond pearl straw"
    " wood metal rainbow violet lavender olive peach salmon ruby emerald sapphire fur lace tile wax crescent"
    " square wire tin iron copper lava ginger coral cream mint blonde brunette"
)
# Attributes that open the name of a thing: "ice cube", "paper clip", "cream cheese".
NAMES_THINGS = _words("ice cream paper light foam tile fire plum rose cherry peach olive lime")
# Kinds of picture: "a photo of" is not an object, unless it is described like one ("a square picture").
MEDIA = _words(
    "photo photos photograph photographs pictures images paintings drawings illustrations photography picture"
    " image painting portrait illustration drawing sketch render rendering artwork art closeup close-up shot"
    " screenshot wallpaper poster print watercolor watercolour graphic scene depiction view selfie snapshot"
    " still footage anime manga comic cartoon concept headshot masterpiece film movie screencap key visual"
    " artstyle panel vector clipart diorama collage mural engraving woodcut lithograph fanart doujin cover"
    " storyboard strip infographic logo icon sticker mockup mosaic tapestry"
)
MEDIUMS = _words(
    "oil acrylic gouache ink pencil pen charcoal crayon pastel watercolor watercolour chalk marker digital"
)
# Heads of phrases that describe the picture, not a thing in it.
PICTURE_WORDS = _words(
    "quality focus resolution detail details lighting light lights composition depth field angle style render"
    " rendering engine texture textures contrast exposure bokeh blur grain aesthetic aesthetics atmosphere mood"
    " tone tones color colors colour colours palette perspective photography art artist artstation realism"
    " anatomy proportions hour aspect ratio camera lens dof uhd hdr raytracing tracing shading shadows shadow"
    " score body pose posing vibe theme effect effects hd pixel res artifacts watermark signature text username"
    " logo rating error limbs digits definition trending vfx cgi illumination reflections particles visuals"
    " elements scenery design beauty viewer stage background backgrounds solo by framing full setting artstyle"
    " rendition backdrop foreground sense vibes styles looks look feel feeling energy haze glow shine work"
    " filter filters mix blend combination shades works technique brushwork brushstrokes linework outline"
    " outlines cg 3d 2d vr ambience ambiance vignette"
)
# Of these, the ones that are no things even when described: "in a simple flat style".
MANNERS = _words(
    "style aesthetic aesthetics mood atmosphere tone tones theme vibe perspective composition quality"
    " resolution contrast color colors colour colours hue hues tint tints"
)
# Attributes of the picture, not of a thing in it.
QUALITY_ATTRIBUTES = _words(
    "best good high highest ultra hyper hyperrealistic hyperdetailed realistic photorealistic photo-realistic"
    " detailed intricate professional cinematic dramatic epic award winning award-winning stunning gorgeous"
    " amazing awesome beautiful perfect masterful great bad worst low normal poor extra missing mutated"
    " deformed disfigured blurry sharp highres lowres absurdres incredible extreme extremely highly very most"
    " volumetric aesthetic trending official ultra-detailed highly-detailed insane fine delicate elaborate rich"
    " vivid clear 8k 4k hd uhd raw hdr 3d 2d finely beautifully superbly exquisite magnificent sublime shallow soft"
    " natural studio full upper lower wide"
)
POSSESSIVES = _words("its his her their my your our whose")
# Nouns that say which property an adjective is of: "with a fluffy texture", "of a blue colour".
PROPERTIES = _words(
    "texture textures shape shapes color colors colour colours coloring colouring pattern patterns finish"
    " surface size hue shade hues appearance build complexion"
)
# Nouns that describe what follows where an adjective stands between: "a kind old woman", "a baby spotted turtle".
ALSO_ADJECTIVES = _words("kind baby")
# Adverbs between "is" and an adjective.
EVEN = _words("all mostly completely entirely very also still quite")
# Words of the picture that somebody can hold or wear as things, too.
THINGS_TOO = _words(
    "shades camera lens signature logo body hands fingers light lights book icon sticker poster print movie film key"
)
# Of the participles with a preposition, those of persons: "dressed in blue", not "covered in snow".
CLOTHED = _words("dressed clad equipped armed")
# Adjectives of two words: "a small run down apartment".
WITH_PARTICLES = frozenset(
    {"run down", "worn down", "worn out", "broken down", "burned out", "burnt out", "washed out", "beat up", "torn up"}
)
# What stands behind a noun that it describes: "with her eyes closed", "his jacket wide open".
AFTER_NOUNS = _words("open closed shut crossed folded raised spread outstretched clasped undone unbuttoned unzipped")
# How sharp a picture is; never a part of what it shows.
FORMATS = _words("2k 4k 8k 16k 32k hd uhd fhd hdr 720p 1080p 1440p 2160p")
# Participles that give a colour: "painted red".
PAINTED = _words("painted colored coloured dyed")
# Measures of one thing, whose adjectives are the thing's: "a tiny piece of sushi".
PORTIONS = _words("piece pieces slice slices pair pairs")
# Made once: a union in a condition would be built anew for every word.
ABOUT_PICTURES = PICTURE_WORDS | MEDIA
NOT_NAMES = ABOUT_PICTURES | POSITIONS | MEASURES
NO_SUBJECTS = MEASURES | PROPERTIES
SAY_OF = MEDIA | MEASURES
SHADED = COLOURS | INTENSIFIERS | SHADES
TINTED = COLOURS | INTENSIFIERS
BEING = COPULAS | EVEN
DOING = HOLDING | DRESSED
PLACES_ONLY = POSITIONS - PICTURE_WORDS
PRAISE = QUALITY_ATTRIBUTES | MEDIUMS
