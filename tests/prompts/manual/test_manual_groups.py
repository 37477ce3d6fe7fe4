"""Groups written by hand: their grammar, their errors, and how they go with automatic ones."""

from __future__ import annotations

import pytest

from tome_ext.prompts import GroupSyntaxError, Reading, read_prompt
from tome_ext.prompts.manual.grammar import parse_groups

TEXT = "a cat wearing sunglasses and a dog wearing a hat"


def read(manual: str, text: str = TEXT) -> Reading:
    return read_prompt(text, parser="builtin", manual=manual)


def said(reading: Reading) -> dict[str, list[str]]:
    return {g.noun.text: [s.text for s in g.related] for g in reading.groups}


def test_words_after_the_colon_belong_to_the_noun():
    reading = read("cat: wearing sunglasses; dog: hat")
    assert said(reading) == {"cat": ["wearing", "sunglasses"], "dog": ["hat"]}
    assert [g.phrase for g in reading.groups] == ["a cat wearing sunglasses", "a dog wearing a hat"]
    assert (reading.clean, reading.warnings) == ("a cat and a dog", ())


def test_commas_line_breaks_and_empty_groups():
    assert said(read("\ncat: wearing, sunglasses\n;; dog: hat;\n")) == said(read("cat: wearing sunglasses; dog: hat"))


def test_manual_wins_for_the_nouns_it_names_and_the_rest_stays_automatic():
    assert said(read("dog: sunglasses")) == {"dog": ["sunglasses"]}
    assert said(read('dog: "striped"')) == {"cat": ["wearing", "sunglasses"], "dog": []}


def test_ordinals_choose_among_repeated_words():
    reading = read("car#2: blue", "a red car, a blue car, a car")
    assert [(g.noun.start, [s.text for s in g.related]) for g in reading.groups] == [(6, ["red"]), (18, ["blue"])]
    third = read("car#3: red", "a red car, a blue car, a car").groups
    assert (third[-1].noun.start, third[-1].related[0].start) == (25, 2)
    assert "car#4" in read("car#4: red", "a red car, a blue car, a car").warnings[0]


def test_the_same_noun_twice_means_the_next_one():
    reading = read("car: red; car: blue", "car and car, red, blue")
    assert [(g.noun.start, g.related[0].text) for g in reading.groups] == [(0, "red"), (8, "blue")]


def test_signed_and_weighted_terms():
    reading = read('dog + 1.2*hat - sunglasses - 0.5*"collar" + "top hat"')
    (dog,) = reading.groups
    assert [(t.text, t.weight, t.span and t.span.start) for t in dog.extra] == [
        ("hat", 1.2, 45),
        ("sunglasses", -1.0, 14),
        ("collar", -0.5, None),
        ("top hat", None, None),
    ]
    assert dog.phrase == "a dog wearing a hat with top hat"
    assert reading.clean == "a cat and a dog"


def test_a_noun_of_several_words_and_a_term_of_several_words():
    (group,) = read("cell phone: yellow + 2*tiny screen", "a yellow cell phone, tiny screen").groups
    assert (group.noun.text, group.extra[0].text, group.extra[0].weight) == ("cell phone", "tiny screen", 2.0)


def test_an_object_can_be_left_alone():
    assert said(read("dog: -")) == {"cat": ["wearing", "sunglasses"]}


def test_words_that_are_not_in_the_prompt_are_warned_of():
    assert "'bird': not in the prompt" in read("bird: red").warnings[0]
    assert "in quotes" in read("cat: purple").warnings[0]
    assert "occurs 2 times" in read("dog: blue", "a dog, blue, blue").warnings[0]


def test_case_and_emphasis_do_not_matter():
    reading = read("cat: RED", "a (Red:1.2) CAT")
    assert [(g.noun.text, g.related[0].text) for g in reading.groups] == [("CAT", "Red")]


HAT = "a dog with a red hat and a cat"


@pytest.mark.parametrize(
    ("text", "manual", "clean", "phrase"),
    [
        (HAT, "dog + hat", "a dog and a cat", "a dog with a red hat"),
        (HAT, "dog: hat", "a dog and a cat", "a dog with a red hat"),
        (HAT, "dog: with red hat", "a dog and a cat", "a dog with a red hat"),
        (HAT, "dog - hat", "a dog and a cat", "a dog"),
        (HAT, "dog: red", "a dog with a hat and a cat", "a dog red"),
        (HAT, "hat: red", "a dog with a hat and a cat", "a red hat"),
        ("a dog with a (red:1.2) top hat", "dog + hat", "a dog", "a dog with a red top hat"),
        ("a dog with a hat that is red", "dog + hat", "a dog", "a dog with a hat that is red"),
        ("a man dressed in a long, black coat", "man + coat", "a man", "a man dressed in a long, black coat"),
        ("a dog that is wearing a big hat", "dog + hat", "a dog", "a dog that is wearing a big hat"),
        ("a big dog next to a red ball", "dog + ball", "a big dog", "a dog next to a red ball"),
        ("a photo of a red hat on a dog", "dog + hat", "a photo of a dog", "a red hat on a dog"),
        ("the dog's red hat and a cat", "dog + hat", "the dog and a cat", "the dog's red hat"),
        ("1girl, blue dress, outdoors", "1girl + dress", "1girl, outdoors", "1girl blue dress"),
        ("a cat, a dog and a red hat", "cat + hat", "a cat, a dog", "a cat and a red hat"),
        # what is not named stays
        ("a dog with a red hat and scarf", "dog + hat", "a dog with scarf", "a dog with a red hat"),
        ("a dog with a scarf and a red hat", "dog + hat", "a dog with a scarf", "a dog with a red hat"),
        ("a dog with a scarf and a red hat", "dog + hat + scarf", "a dog", "a dog with a scarf and a red hat"),
        ("a cat and a dog with a red hat", "cat + hat", "a cat and a dog", "a cat with a red hat"),
    ],
)
def test_a_word_that_goes_takes_its_phrase_along(text, manual, clean, phrase):
    reading = read(manual, text)
    assert (reading.clean, [g.phrase for g in reading.groups], reading.warnings) == (clean, [phrase], ())


@pytest.mark.parametrize(
    ("manual", "position", "expected"),
    [
        ("cat", 3, "':', '+' or '-' after 'cat', found the end"),
        ("cat:", 4, "a word that belongs to 'cat'"),
        ("cat: ;", 5, "found ';'"),
        ('"cat": x', 0, "an object of the prompt"),
        ("cat: hat, ; d", 10, "a word after ','"),
        ("1.2*cat + x", 0, "without a weight"),
        ("cat + 1.2*", 10, "a number with '*' and a word"),
        ("cat + ", 6, "a number with '*' and a word"),
        ("cat#: x", 4, "a number from 1"),
        ("cat#0: x", 4, "a number from 1"),
        ('cat: "abc', 9, "a closing quote"),
        ('cat: ""', 6, "a word between the quotes"),
        ("cat: hat ) x", 9, "',', '+', '-', ';' or the end, found ')'"),
        (": a", 0, "an object of the prompt, found ':'"),
        ("cat: a\n dog red", 15, "after 'dog red'"),
    ],
)
def test_errors_point_at_the_character(manual, position, expected):
    with pytest.raises(GroupSyntaxError) as error:
        read(manual)
    assert error.value.position == position
    assert expected in str(error.value)
    line, caret = str(error.value).split("\n")[-2:]
    assert caret.index("^") - 2 == len(manual[:position].split("\n")[-1])
    assert line[2:] == (manual[:position].split("\n")[-1] + manual[position:].split("\n")[0])


def test_a_long_run_of_digits_is_read_in_linear_time():
    """Where every split of the digits is tried, this takes minutes and not milliseconds."""
    (group,) = parse_groups("cat: " + "1" * 200_000)
    assert group.terms[0].text == "1" * 200_000
