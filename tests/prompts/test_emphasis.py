"""A phrase with the weights of its words, typed in the prompt's language."""

from __future__ import annotations

import pytest

from tome_ext.prompts import read_prompt
from tome_ext.prompts.emphasis import typed_phrase, weights
from tome_ext.prompts.host_syntax import plain_text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([("a", 1.0), ("red", 1.6), ("hat", 1.0)], "a (red:1.6) hat"),
        ([("a", 1.2), ("red", 1.2), ("hat", 1.0)], "(a red:1.2) hat"),
        ([("green", -1.0), ("hat", 1.0)], "(green:-1) hat"),
        ([("red", 1.1 * 1.1), (",", 1.0), ("big", 1.0)], "(red:1.21), big"),
        ([("miku", 1.0), ("(", 1.0), ("vocaloid", 1.0), (")", 1.0)], "miku \\( vocaloid \\)"),
        ([("a\\b", 1.0), ("[", 1.3)], "a\\\\b (\\[:1.3)"),
    ],
)
def test_weights_are_typed_and_other_brackets_escaped(words, expected):
    phrase = typed_phrase(words)
    assert phrase == expected
    assert plain_text(phrase)[0].text.replace(" ", "") == "".join(word for word, _ in words)
    places = weights(phrase)
    typed = [(phrase[place], round(weight, 2)) for place, weight in sorted(places.items()) if phrase[place].strip()]
    assert typed == [(letter, round(weight, 2)) for word, weight in words for letter in word]


def test_a_group_keeps_its_plain_phrase_beside_the_typed_one():
    group = read_prompt("a (red:1.6) hat", parser="builtin").groups[0]
    assert (group.phrase, group.typed_phrase) == ("a red hat", "a (red:1.6) hat")
    assert group.encoded_phrase == group.typed_phrase


@pytest.mark.parametrize(("text", "syntax"), [("a red hat", "a1111"), ("<lora:x:1> a red hat", "a1111")])
def test_a_group_without_emphasis_has_no_typed_phrase(text, syntax):
    group = read_prompt(text, parser="builtin", syntax=syntax).groups[0]
    assert (group.typed_phrase, group.encoded_phrase) == ("", "a red hat")


def test_where_brackets_are_ordinary_characters_nothing_is_emphasised():
    for group in read_prompt("a (red:1.6) hat and a blue dog", parser="builtin", syntax="plain").groups:
        assert group.typed_phrase == ""
