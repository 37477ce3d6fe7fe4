"""Closed word classes and the few open ones in which a dictionary's view does not fit a prompt's."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ARTICLES = _words("a an the")
DETERMINERS = ARTICLES | _words(
    "whose this that these those my your his her its our their some any each every another no both all several many"
    " few multiple various numerous one two three four five six seven eight nine ten dozen couple"
)
SINGULAR = _words("a an one each every this that another")
PRONOUNS = _words(
    "i you he she it we they me him them us who whom which what there here someone something everyone everything"
    " nobody nothing himself herself itself themselves other others looking"
)
CONJUNCTIONS = _words("and or & plus")
COPULAS = _words("is are was were be being been isn't aren't looks look seems seem appears appear becomes")
HAVE = _words("has have having had featuring features sporting sports possessing")
RELATIVES = _words("that which who")
# Verbs whose object belongs to the subject (METHOD: sub-object).
HOLDING = _words(
    "wearing wears wear holding holds hold carrying carries carry wielding wields wield donning clutching gripping"
    " grasping sporting brandishing"
)
# Participles that open a sub-object phrase together with a preposition: "dressed in a blue coat".
DRESSED = _words("dressed clad adorned decorated covered wrapped equipped armed crowned topped filled made trimmed")
DRESSED_PREPOSITIONS = _words("in with of from by")
WITH = _words("with w/ without")
PREPOSITIONS = _words(
    "in on at of to from by for into onto over under above below beneath behind beside besides between near next"
    " around against along across through inside outside within upon atop off beyond underneath alongside toward"
    " towards among amid amidst during like as than vs versus via per up down out past opposite facing after"
    " before while when where because if but so though although until since about amongst aboard et then"
)
PARTICLES = _words("up down away off out over together around back forward apart")
AUXILIARIES = _words(
    "do does did can could will would shall should may might must not don't doesn't didn't to n't never always"
)
INTENSIFIERS = _words(
    "very extremely highly quite really super so too incredibly slightly mostly partly partially"
    " deep deeply pale light dark bright hot neon pastel vivid dusty"
)
COLOURS = _words(
    "red orange yellow green blue purple violet pink brown black white gray grey beige tan gold golden silver"
    " bronze turquoise teal cyan magenta maroon navy crimson scarlet indigo lavender lilac ivory cream khaki olive"
    " amber coral peach salmon mint emerald sapphire ruby jade azure burgundy mauve fuchsia charcoal copper blonde"
    " blond brunette ginger multicolored multicoloured colorful colourful rainbow monochrome aqua auburn rose"
    " chartreuse ochre platinum transparent reddish bluish greenish yellowish"
)
MATERIALS = _words(
    "wood wooden metal metallic leather glass plastic rubber fabric cotton silk wool woolen woollen velvet denim"
    " lace satin linen fur stone marble granite brick concrete clay ceramic porcelain paper cardboard steel iron"
    " brass chrome aluminum aluminium tin stainless crystal diamond ice wicker bamboo straw wax foam felt nylon"
    " polyester suede fluffy furry knitted quilted woven wire gemstone pearl latex vinyl tile tiled mesh lava"
)
SHAPES = _words(
    "round square oval rectangular triangular circular spherical cubic cubical cylindrical conical pyramidal"
    " pentagonal hexagonal octagonal oblong crescent teardrop diamond curved flat pointed pointy spiral"
    " heart-shaped star-shaped l-shaped u-shaped"
)
SIZES = _words(
    "big small large little tiny huge giant gigantic enormous massive tall short long wide narrow thick thin"
    " miniature mini micro oversized old young new ancient antique vintage modern"
)
HARD_ATTRIBUTES = COLOURS | MATERIALS | SHAPES | SIZES
# Colours and the like that are things as well: "a brown orange".
ALSO_THINGS = _words(
    "orange rose gold silver glass ice stone brick paper crystal diamond pearl straw wood metal rainbow violet"
    " lavender olive peach salmon ruby emerald sapphire fur lace tile wax crescent square wire tin iron copper"
    " lava ginger coral cream mint blonde brunette"
)
# Attributes that open the name of a thing: "ice cube", "paper clip", "cream cheese".
NAMES_THINGS = _words("ice cream paper light foam tile fire")
# Kinds of picture: "a photo of" is not an object, unless it is described like one ("a square picture").
MEDIA = _words(
    "photo photograph photography picture image painting portrait illustration drawing sketch render rendering"
    " artwork art closeup close-up shot screenshot wallpaper poster print watercolor watercolour graphic scene"
    " depiction view selfie snapshot still footage anime manga comic cartoon concept headshot masterpiece"
)
# Heads of phrases that describe the picture, not a thing in it.
PICTURE_WORDS = _words(
    "quality focus resolution detail details lighting light lights composition depth field angle style render"
    " rendering engine texture textures contrast exposure bokeh blur grain aesthetic aesthetics atmosphere mood"
    " tone tones color colors colour colours palette perspective photography art artist artstation realism"
    " anatomy proportions hour aspect ratio camera lens dof uhd hdr raytracing tracing shading shadows shadow score"
    " body pose posing vibe theme effect effects hd pixel res artifacts watermark signature text username logo"
    " rating error limbs fingers digits hands definition trending vfx cgi illumination reflections particles"
    " visuals elements scenery design beauty viewer stage background solo style by framing full"
)
# Of these, the ones that are no things even when described: "in a simple flat style".
MANNERS = _words(
    "style aesthetic aesthetics mood atmosphere tone tones theme vibe perspective composition quality resolution"
    " contrast color colors colour colours"
)
# Attributes of the picture, not of a thing in it.
QUALITY_ATTRIBUTES = _words(
    "best good high highest ultra hyper hyperrealistic hyperdetailed realistic photorealistic photo-realistic"
    " detailed intricate professional cinematic dramatic epic award winning award-winning stunning gorgeous"
    " amazing awesome beautiful perfect masterful great bad worst low normal poor extra missing mutated deformed"
    " disfigured blurry sharp highres lowres absurdres incredible extreme extremely highly very most volumetric"
    " aesthetic trending official ultra-detailed highly-detailed insane fine delicate elaborate rich vivid 8k 4k"
    " hd uhd raw hdr shallow soft natural studio full upper lower wide"
)
# Animate in a prompt, whatever the dictionary says.
ANIMATE = _words(
    "robot android cyborg doll teddy snowman scarecrow mannequin statue warrior princess prince knight wizard witch"
    " fairy elf dragon unicorn monster alien ghost zombie skeleton vampire mermaid goblin orc demon angel 1girl 1boy"
    " 1woman 1man girl boy girls boys panda otaku ninja samurai mascot character figure figurine toy corgi"
)
WEARABLE = _words(
    "sunglasses glasses eyeglasses goggles hat cap crown scarf tie bowtie necklace earrings bracelet ring watch"
    " helmet mask gloves shoes boots socks dress shirt jacket coat uniform armor armour cape cloak hoodie sweater"
    " jeans pants shorts skirt kimono suit vest belt backpack headphones tiara beanie beret bikini swimsuit apron"
    " robe t-shirt tshirt hairband headband ribbon bow choker thighhighs stockings sneakers turban veil costume"
)
# Parts and decorations of things that a dictionary does not list as parts.
PARTS = _words(
    "pattern patterns stripe stripes spot spots dot dots print prints logo frosting icing trim edge edges top tops base"
    " bases fringe lining accent accents patch patches marking markings facet facets rim border frame legs leg lid seat"
    " handle handles tile tiles fittings trimmings decorations stomach stain stains roof wheels petals leaves buttons"
)
POSSESSIVES = _words("its his her their my your our whose")
# Nouns whose colours say where they are, not what they are: with them "with" introduces things, not parts.
PLACES = _words(
    "room bathroom kitchen bedroom garden park street city house building beach forest field landscape sky scene"
    " lot lawn yard office hall restaurant library town village road toilet-room washroom restroom classroom"
)
