"""The clean prompt is a text of the same structure, or it is not used."""

from __future__ import annotations

import pytest

from tome_ext.prompts import read_prompt
from tome_ext.prompts.clean_check import broken
from tome_ext.prompts.words import split_words

CLEAN = {
    "1girl, green_eyes, long_skirt": "1girl, eyes, skirt",
    "a wizard wearing old_robes, tower": "a wizard, tower",
    "black_hair/red_eyes, 1girl": "hair/eyes, 1girl",
    "1girl, (wearing santa_outfit:1.3), tree": "1girl, tree",
    "a man is wearing a red cap while riding a bike": "a man is riding a bike",
    "a man resting on a red sofa while wearing boots": "a man resting on a sofa",
    "a girl who is wearing a blue coat and who is holding a fan": "a girl",
    "man, he wears a red tie": "man",
    "a woman smiling and wearing a red hat": "a woman smiling",
    "a dog with a hat on its head, beach": "a dog, beach",
    "a dog with ears like wings": "a dog",
    "two men, one in black and the other in red": "two men, one and the other",
}


@pytest.mark.parametrize(("text", "clean"), CLEAN.items())
def test_nothing_dangles(text, clean):
    reading = read_prompt(text, parser="builtin")
    assert (reading.clean, reading.clean_problem, reading.warnings) == (clean, "", ())


@pytest.mark.parametrize(
    ("text", "gone", "clean", "problem"),
    [
        ("a red cat", "a cat", "red", ""),
        ("a red cat", "red cat", "a", "'a' is left without its words"),
        ("a cat in red, sofa", "red", "a cat in, sofa", "'in' is left without its words"),
        ("a cat in red and a dog", "cat in red", "a and a dog", "'a' is left without its words"),
        ("1girl, hat and shoes", "hat", "1girl, and shoes", "'and' is left without its words"),
        ("woman, she smiles", "smiles", "woman, she", "'she' is left alone"),
        ("a (red cat) b", "cat", "a (red b", "a bracket lost its other half"),
        (r"a \(red cat\) b", "cat", r"a \(red b", "a bracket lost its other half"),
        ("1girl, red_hat", "red", "1girl, _hat", "an underscore is left over"),
        ("the (red) cat", "red cat", "(the)", "an article is left without its noun"),
        ("red", "red", "", "nothing is left"),
    ],
)
def test_a_broken_text_is_named(text, gone, clean, problem):
    words = split_words(text)
    cut = {k for k, word in enumerate(words) if word.low in gone.split()} if problem else {1}
    assert broken(text, clean, words, cut) == problem


def test_a_broken_clean_prompt_is_a_warning_and_one_by_hand_is_not(monkeypatch):
    monkeypatch.setattr("tome_ext.prompts.reading.broken", lambda *_: "test")
    reading = read_prompt("a red cat", parser="builtin")
    assert reading.clean_problem == "test"
    assert "is not used (test)" in reading.warnings[0]
    by_hand = read_prompt("a red cat", parser="builtin", clean="a cat")
    assert (by_hand.clean, by_hand.clean_problem, by_hand.warnings) == ("a cat", "", ())
