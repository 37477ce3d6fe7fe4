"""When nothing is bound, and what kind of group is found: a default that never harms starts here."""

from __future__ import annotations

import pytest

from tome_ext.prompts import read_prompt


def read(text: str, **more):
    return read_prompt(text, parser="builtin", **more)


@pytest.mark.parametrize("text", ["a green moon", "a cat wearing a hat", "a green moon and a cat"])
def test_a_single_object_is_left_alone_where_two_are_asked_for(text):
    reading = read(text, min_objects=2)
    assert reading.groups == ()
    assert reading.clean == text
    assert any("nothing to confuse it with" in item.reason for item in reading.ignored)
    assert len(read(text, min_objects=1).groups) == 1


def test_a_group_by_hand_is_bound_alone():
    reading = read("a green moon and a cat", manual="moon: green", min_objects=2)
    assert [group.noun.text for group in reading.groups] == ["moon"]


def test_two_objects_are_bound():
    assert len(read("a green moon and a blue square", min_objects=2).groups) == 2
    assert read("a green moon and a blue square", min_objects=3).groups == ()


@pytest.mark.parametrize(
    ("text", "manual", "expected"),
    [
        ("a red cat and a blue dog", "", [False, False]),
        ("a cat wearing sunglasses and a blue dog", "", [True, False]),
        ("the cat is red and the dog is blue", "", [False, False]),
        ("a girl in red and a boy in blue", "", [False, False]),
        ("a wooden table and a stone bridge", "", [False, False]),
        ("a cushion with a fluffy texture and a red cat", "", [False, False]),
        ("a cat and a hat and a dog", "cat: hat", [True]),
        ("a cat and a dog", 'dog + "hat"', [True]),
        ("a cat and a dog", 'dog + "red"', [False]),
        ("2girls, blonde hair, black hair", "girl#1: blonde hair; girl#2: black hair", [True, True]),
    ],
)
def test_sub_objects_are_told_from_attributes(text, manual, expected):
    assert [group.has_sub_object for group in read(text, manual=manual).groups] == expected
