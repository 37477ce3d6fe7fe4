"""Who has what: subjects, names, things that are worn and held, and what is denied or no object at all."""

from __future__ import annotations

import pytest

from tome_ext.prompts import read_prompt

CASES = {
    # the subject of "is", not the nearest noun
    "the lamp next to the sofa is yellow": "lamp: yellow",
    "the bird on the left is green and the bird on the right is red": "bird: green; bird: red",
    "the wheels of the truck are black": "wheels: black",
    "the bag on the chair and the dog is black": "dog: black",
    "the flowers on the table and the chair are red": "",
    "a cup and a plate are white": "cup: +white; plate: white",
    "the robe is red, white and blue": "robe: red white blue",
    # names, known or not, in any order with common nouns
    "Zelda in a green cloak and Ganon in a black cape": "Zelda: in green cloak; Ganon: in black cape",
    "an old man in a grey robe and Bilbo in a red vest": "man: old in grey robe; Bilbo: in red vest",
    "Ada Lovelace wearing a blue gown, Alan Turing holding a red book": (
        "Ada Lovelace: wearing blue gown; Alan Turing: holding red book"
    ),
    r"saber \(fate\) holding a golden sword and archer \(fate\) wearing a red coat": (
        "saber: holding golden sword; archer: wearing red coat"
    ),
    "quorvex sitting on a fence, wearing a yellow scarf": "quorvex: wearing yellow scarf",
    "portrait of quorvex, beautiful face, wearing a green coat": "quorvex: wearing green coat",
    "Tom and Jerry wearing red hats": "Tom: +wearing +red +hats; Jerry: wearing red hats",
    # places, parts and bystanders never wear or hold
    "long hair, wearing a green sweater": "hair: long; sweater: green",
    "a lizard on a red bench holding a fan": "lizard: holding fan; bench: red",
    "a boy next to an octopus wearing a crown": "octopus: wearing crown",
    "a girl sitting on a stool with a blue hat": "girl: with blue hat",
    "a woman next to a car with red hair": "woman: with red hair",
    "shelves and cupboards with green walls": "walls: green",
    "two bears, both wearing yellow boots": "bears: wearing yellow boots",
    "two men, one with a red beard and the other with a black beard": ("one: with red beard; other: with black beard"),
    "a fox wearing a blue hat, red gloves, green shirt, and yellow pants": (
        "fox: wearing blue hat red gloves green shirt yellow pants"
    ),
    "a hut made of straw with a wooden roof": "hut: made of straw with wooden roof",
    # behind a comma, or far from the noun: only where one alone can be meant
    "a red cat, a blue dog, wearing sunglasses": "cat: red; dog: blue",
    "a cat and a dog, wearing a hat": "",
    "a cat and a dog, wearing hats": "cat: +wearing +hats; dog: wearing hats",
    "a cat and a dog on a sofa wearing a hat": "",
    "a cat and Elsa on a sofa, wearing a hat": "",
    "a girl and Elsa, dressed in red": "",
    "1girl, 1boy, holding a red ball": "ball: red",
    "1girl, hatsune miku, wearing a red dress": "hatsune miku: wearing red dress",
    "a knight fighting a dragon, holding a sword": "knight: holding sword",
    "a red cat wearing a scarf, a blue dog, wearing sunglasses": (
        "cat: red wearing scarf; dog: blue wearing sunglasses"
    ),
    # properties
    "a spoon with a fluffy texture": "spoon: with fluffy texture",
    "a horse of a green colour": "horse: of green colour",
    "a chair-shaped rock and a fur-textured mountain": "rock: chair-shaped; mountain: fur-textured",
    # what is denied
    "a dog with no collar and a cat with a red collar": "cat: with red collar",
    "a woman not wearing a blue coat": "",
    "a house without red doors or windows": "",
    "a sheep that is not black": "",
    "a road free of red cars": "",
    # verbs and adverbs are no nouns
    "boy feeding horse": "",
    "a teapot left of a red cup": "cup: red",
    "a tall tower rose above the town": "tower: tall",
    "one tiny bell present": "bell: tiny",
    # tags never join across a comma
    "a nurse in white, red lips": "nurse: in white; lips: red",
    "an extremely delicate and beautiful, green coat": "coat: green",
    "hair, brown, short; eyes, green": "hair: brown short; eyes: green",
    # colours
    "jet black hair, ice blue eyes": "hair: jet black; eyes: ice blue",
    "Red, white, and black balloons": "balloons: Red white black",
    "four red and two green balls": "balls: red green",
    "[[teal and orange]], a red car": "car: red",
    "a “red” fox and a ‘white’ owl": "fox: red; owl: white",
    # other extensions' keywords, brackets, writing, styles, place names
    "a red cat AND_PERP a blue dog :1.2": "cat: red; dog: blue",
    "a red cat ADDCOL a blue dog": "cat: red; dog: blue",
    "(analog film) (vhs movie) (red car)": "car: red",
    "a shop with 'GREEN TEA' on a red wall": "wall: red",
    "retro artstyle, dynamic lightings, super detailed CG, a red bus": "bus: red",
    "a view of New York City, red bus": "bus: red",
    "a matte painting of a blue barn": "barn: blue",
}


@pytest.mark.parametrize(("text", "expected"), CASES.items())
def test_owner(text, expected):
    reading = read_prompt(text, parser="builtin")
    got = [
        f"{g.noun.text}: {' '.join([s.text for s in g.related] + ['+' + t.text for t in g.extra])}"
        for g in reading.groups
    ]
    assert "; ".join(got) == expected
    assert not reading.clean_problem


def test_what_is_denied_is_named_and_stays():
    reading = read_prompt("a cat without a red hat", parser="builtin")
    assert reading.clean == reading.text
    assert any("denies" in i.reason for i in reading.ignored)


@pytest.mark.parametrize("length", [20_000, 100_000])
def test_long_lists_of_sub_objects_are_read_to_the_end(length):
    text = "a cat " + "with a hat " * (length // 11)
    (group, *_) = read_prompt(text, parser="builtin").groups
    assert group.noun.text == "cat"
