"""The clean prompt: base objects only, articles that agree, everything else as typed."""

from __future__ import annotations

import pytest

from tome_ext.prompts import read_prompt

CASES = {
    "an orange cat": "a cat",
    "a red apple": "an apple",
    "A red apple": "An apple",
    "A ORANGE CAT": "A CAT",
    "a red hour glass": "an hour glass",
    "a red unicorn": "a unicorn",
    "a (red:1.2) apple": "an apple",
    "a ((red)) (cat:1.3), [blue] dog": "a (cat:1.3), dog",
    "(a red cat:1.2)": "(a cat:1.2)",
    "a red, fluffy cat": "a cat",
    "an old car that is red": "a car",
    "a cat wearing a red hat, 8k": "a cat, 8k",
    "1girl, red hair, wearing a hat, outdoors": "1girl, hair, outdoors",
    "a red cat\nBREAK\na blue dog AND  a vase": "a cat\nBREAK\na dog AND  a vase",
    "my_style, a red cat <lora:x:1>,, an  hour": "my_style, a cat <lora:x:1>,, an  hour",
    "a photo of a mountain": "a photo of a mountain",
    r"a red \(tabby\) cat, a blue dog": r"a red \(tabby\) cat, a dog",
}


@pytest.mark.parametrize(("text", "clean"), CASES.items())
def test_clean(text, clean):
    assert read_prompt(text, parser="builtin").clean == clean


def test_by_hand_wins():
    assert read_prompt("a red cat", clean=" a feline ").clean == "a feline"


@pytest.mark.parametrize(
    "places", [range(0xFDD0, 0xFDF0), [*range(0xFDD0, 0xFDF0), *range(0xE000, 0xF900)]], ids=["some", "very many"]
)
def test_no_character_serves_as_a_marker(places):
    text = "".join(map(chr, places)) + " an orange cat"
    assert read_prompt(text, parser="builtin").clean == text.replace("an orange", "a")
