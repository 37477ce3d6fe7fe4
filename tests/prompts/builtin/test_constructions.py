"""What the built-in parser makes of the constructions that people write, one after the other."""

from __future__ import annotations

import pytest

from tome_ext.prompts import read_prompt

CASES = {
    # sentences
    "a cat that is wearing a red hat and a dog with glasses": "cat: wearing red hat; dog: with glasses",
    "a red and blue car next to a tall man in a blue suit": "car: red blue; man: tall in blue suit",
    "a young woman with blue eyes and blonde hair holding a red umbrella and a black cat": (
        "woman: young with blue eyes blonde hair holding red umbrella; cat: black"
    ),
    "a knight in shining armor fighting a green dragon": "knight: in shining armor; dragon: green",
    "a robot with a golden crown and a monkey with a purple cape": "robot: with golden crown; monkey: with purple cape",
    "a lion wearing a crown, a tiger wearing sunglasses, and a bear holding a balloon": (
        "lion: wearing crown; tiger: wearing sunglasses; bear: holding balloon"
    ),
    "a woman dressed in a long black coat and red boots": "woman: dressed in long black coat red boots",
    "a vase made of glass on a wooden table": "vase: made of glass; table: wooden",
    "a house painted blue and a door painted red": "house: painted blue; door: painted red",
    "a light blue shirt and dark green pants": "shirt: light blue; pants: dark green",
    "a blue-eyed girl with short-cropped hair": "girl: blue-eyed with short-cropped hair",
    "a girl's red hair and a boy's blue shirt": "hair: red; shirt: blue",
    "a dog, and the dog's eyes are blue": "eyes: blue",
    "a woman in orange riding a horse and a woman in pink": "woman: in orange; woman: in pink",
    "a horse whose mane is red": "mane: red",
    "a dog that is black and white": "dog: black white",
    "a red car and truck": "car: red; truck: +red",
    "a black and white dog and cat": "dog: black white; cat: +black +white",
    "a red car and a truck": "car: red",
    # who wears what, people and things
    "a dog wearing a hat": "dog: wearing hat",
    "a cat wearing sunglasses": "cat: wearing sunglasses",
    "the woman wearing a red dress and a man wearing a blue suit": "woman: wearing red dress; man: wearing blue suit",
    "a robot holding a sword and a knight carrying a green shield": (
        "robot: holding sword; knight: carrying green shield"
    ),
    "a star wearing boots on the beach": "star: wearing boots",
    "a photo of a circle wearing sunglasses": "circle: wearing sunglasses",
    "a striped circle and a smiling hexagon": "circle: striped; hexagon: smiling",
    "a moon wearing boots and a heart that is wearing a hat": "moon: wearing boots; heart: wearing hat",
    "a moon with a hat and a heart with boots": "moon: with hat; heart: with boots",
    "a cat wearing a hat, a ring wearing a crown and a dog": "cat: wearing hat; ring: wearing crown",
    "a heart wearing a crown and sunglasses and a star wearing boots": (
        "heart: wearing crown sunglasses; star: wearing boots"
    ),
    "a circle wearing a hat beside a cat wearing sunglasses": "circle: wearing hat; cat: wearing sunglasses",
    "a dog and a vase holding flowers": "vase: holding flowers",
    "a man with a hat and a coat holding a sword": "man: with hat coat holding sword",
    "a woman at a table and a lamp, holding a cup": "woman: holding cup",
    "an idea wearing a crown": "idea: wearing crown",
    # finite verbs are no nouns
    "The wooden chair creaks as the fabric cushion shifts.": "chair: wooden; cushion: fabric",
    "The plastic cup and metallic straw rest on the wooden coaster.": "cup: plastic; straw: metallic; coaster: wooden",
    "The glass vase and metallic tongs hold the wooden flowers.": "vase: glass; tongs: metallic; flowers: wooden",
    # places hold things, they do not own them
    "A bathroom with a white sink and a tan toilet.": "sink: white; toilet: tan",
    "A brown counter with a big, white bowl on it.": "counter: brown; bowl: big white",
    "a dog in a green park": "park: green",
    # tags
    "1girl, solo, long hair, blue eyes, school uniform, looking at viewer": "hair: long; eyes: blue",
    "1girl, blue_eyes, red_dress": "eyes: blue; dress: red",
    "masterpiece, best quality, ultra-detailed, 8k, sharp focus, intricate details": "",
    "bad anatomy, worst quality, extra limbs, (blurry:1.3), ugly": "",
    "girl with red hair, blue dress, standing near a yellow car": "girl: with red hair; dress: blue; car: yellow",
    # pictures and their makers
    "portrait of a tall woman, by Greg Rutkowski, trending on artstation": "woman: tall",
    "a green square, in a simple flat style": "square: green",
    "a red barn surrounded by yellow flowers": "barn: red; flowers: yellow",
    "a black and white photo of a red fox in the style of Old Masters": "fox: red",
    "a triangular clock and a square picture": "clock: triangular; picture: square",
    # names of things
    "teddy bear with a red bow tie, swimming pool": "teddy bear: with red bow tie",
    "a conical ice cream cone and a cubic ice cube": "ice cream cone: conical; ice cube: cubic",
    "a spherical marble and a brown orange": "marble: spherical; orange: brown",
    "a cylindrical soda can and a tiny top hat": "soda can: cylindrical; top hat: tiny",
    # what users write
    "a girl with eyes like diamond, floating hair": "girl: with eyes; hair: floating",
    "a woman with her eyes closed and a man with arms crossed": "woman: with eyes closed; man: with arms crossed",
    "a man with his green jacket wide open on a stage": "man: with green jacket wide open",
    "a 30 year old man and (35 years old woman:1)": "man: 30 year old; woman: 35 years old",
    "a spoon in a small run down apartment": "apartment: small run down",
    "4k 8k highly detailed red car, lens rich colors hyper realistic": "car: highly detailed red",
    "iconic Ghost in the Shell character, a red cat": "cat: red",
    "2 panel comic strip, complementary shades, green filter, green hue": "",
    "a man wearing red shades": "man: wearing red shades",
    "giant spiders undead lich drider underground underdark evil horror": "",
    "stone plaster shops taverns people market horses": "",
    "The hero should have a confident presence, a red cat": "cat: red",
    "Her hair is wet and slicked back, and her eyes are blue": "eyes: blue",
    "((sultry flirty look)), a red cat": "cat: red",
    "a volcano spewing fish into the blue sea, a dog beside the blue lake": "lake: blue",
    "1girl, in the dark, deep shadow, blue bangs, standing somewhere else": "bangs: blue",
}


@pytest.mark.parametrize(("text", "expected"), CASES.items())
def test_construction(text, expected):
    reading = read_prompt(text, parser="builtin")
    got = [
        f"{g.noun.text}: {' '.join([s.text for s in g.related] + ['+' + t.text for t in g.extra])}"
        for g in reading.groups
    ]
    assert "; ".join(got) == expected


def test_a_shared_modifier_is_encoded_on_its_own():
    car, truck = read_prompt("a red car and truck", parser="builtin").groups
    assert [s.text for s in car.related] == ["red"]
    assert (truck.related, truck.phrase) == ((), "red truck")
    assert [(t.text, t.span, t.weight) for t in truck.extra] == [("red", None, None)]


def test_reasons_say_why_words_were_left_alone():
    reasons = {i.span.text: i.reason for i in read_prompt("best quality, a cat, stormy sea", parser="builtin").ignored}
    assert "picture" in reasons["best quality"]
    assert "without words" in reasons["cat"]
    assert "scene" in reasons["stormy sea"]


def test_auto_and_a_missing_spacy(monkeypatch):
    monkeypatch.setattr("tome_ext.prompts.spacy_parser.load.load", lambda: (None, "spaCy is not installed"))
    assert read_prompt("a red cat").warnings == ()
    explicit = read_prompt("a red cat", parser="spacy")
    assert explicit.parser == "builtin"
    assert "not installed" in explicit.warnings[0]
    assert explicit.groups == read_prompt("a red cat", parser="builtin").groups


def test_a_broken_model_is_a_warning(monkeypatch):
    from tome_ext.prompts.spacy_parser import load as spacy_parser

    monkeypatch.setattr(spacy_parser, "_find", lambda name: name in ("spacy", "en_core_web_sm"))
    monkeypatch.setattr(spacy_parser, "_loaded", [])
    monkeypatch.setitem(__import__("sys").modules, "spacy", None)
    nlp, problem = spacy_parser.load()
    assert nlp is None
    assert "en_core_web_sm does not load" in problem
    assert spacy_parser.load() == (nlp, problem)


def test_unknown_choices_are_errors():
    with pytest.raises(ValueError, match="parser must be one of"):
        read_prompt("a cat", parser="magic")
    with pytest.raises(ValueError, match="syntax must be one of"):
        read_prompt("a cat", syntax="magic")
