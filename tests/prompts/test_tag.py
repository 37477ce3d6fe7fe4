from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tome_ext.prompts import read_prompt
from tome_ext.prompts.tag import Tag, TagError, has_tag, read_tags, without_tags
from tome_ext.settings import PRESETS

PARTS = st.sampled_from(
    [
        "<tome>",
        "<tome:paper>",
        "<tome:cat: hat>",
        "<tome:off>",
        "<tome:",
        ">",
        ";",
        "strength=1.5",
        "a red cat",
        '"',
        ":",
        "*2",
    ]
)


def read(text):
    return read_tags(text, tuple(PRESETS))


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("a cat", None),
        ("a cat <lora:tome:1>", None),
        ("a cat <tome>", Tag()),
        ("<ToMe:ON> a cat", Tag()),
        ("<tome:off>", Tag(on=False)),
        ("<tome:paper>", Tag(preset="paper")),
        ("<tome:reference-attributes>", Tag(preset="reference-attributes")),
        ("<tome:paper:1.5>", Tag(preset="paper", values=(("strength", "1.5"),))),
        ("<tome:on:0.5>", Tag(values=(("strength", "0.5"),))),
        ("<tome:strength=1.5>", Tag(values=(("strength", "1.5"),))),
        ("<tome:cat: hat; dog: sunglasses>", Tag(groups="cat: hat; dog: sunglasses")),
        ("<tome:paper: red>", Tag(groups="paper: red")),
        ('<tome:dog + "a; b=c" - collar>', Tag(groups='dog + "a; b=c" - collar')),
        ("<tome:bird@2*1.3: green>", Tag(groups="bird@2*1.3: green")),
        (
            "<tome:clean_prompt=a cat and a dog\nfast>",
            Tag(preset="fast", values=(("clean_prompt", "a cat and a dog"),)),
        ),
    ],
)
def test_what_a_tag_says(text, tag):
    assert read(text) == tag


def test_several_tags_are_one_and_the_later_counts():
    assert read("<tome:fast> a cat <tome:cat: red> and <tome:paper; dog: blue>") == Tag(
        preset="paper", groups="cat: red; dog: blue"
    )
    assert read("<tome:off> <tome>") == Tag()
    assert read("<tome> <tome:off>") == Tag(on=False)


def test_a_preset_replaces_the_values_before_it_but_not_the_strength():
    tag = read("<tome:iterations=9; strength=0.5; paper; every=2>")
    assert tag == Tag(preset="paper", values=(("strength", "0.5"), ("every", "2")))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<tome:nonsense>", "must be on, off, fast, balanced"),
        ("<tome:cat::>", r"expected .* \(character 5\)"),
        ("<tome:paper:high>", None),  # a group of a noun called "paper"
        ("<tome:cat*3: hat>", "a strength from 0 to 2"),
    ],
)
def test_a_wrong_tag_names_its_item(text, says):
    if says is None:
        assert read(text).groups == "paper:high"
        return
    with pytest.raises(TagError, match=says):
        read(text)


@settings(deadline=None)
@given(st.lists(PARTS, max_size=12).map("".join) | st.text(max_size=60))
def test_tags_from_anyone_are_read_or_refused(text):
    try:
        tag = read(text)
    except TagError:
        assert has_tag(text)
        return
    assert (tag is not None) == has_tag(text)
    assert not has_tag(without_tags(text)) or len(without_tags(text)) < len(text)


@settings(deadline=None)
@given(
    st.sampled_from(["", *PRESETS]),
    st.sampled_from([None, 0.0, 0.5, 2.0]),
    st.sampled_from(["", "cat: red", 'cat: red; dog + 1.2*"top; hat"', "cat#2*1.5: hat"]),
)
def test_what_is_written_in_a_tag_is_what_is_read(preset, strength, groups):
    items = [preset, "" if strength is None else f"strength={strength}", groups]
    body = ";".join(item for item in items if item)
    tag = read(f"a prompt <tome:{body}>" if body else "a prompt <tome>")
    values = () if strength is None else (("strength", str(strength)),)
    assert (tag.preset, tag.values, tag.groups.replace("; ", ";")) == (preset, values, groups.replace("; ", ";"))


@pytest.mark.parametrize("tag", ["<tome>", "<tome:paper>", "<tome:cat: hat; dog: sunglasses>"])
def test_a_tag_is_no_text_of_the_prompt(tag):
    with_tag, without = (read_prompt(f"a red cat{one} and a blue dog", parser="builtin") for one in (tag, ""))
    assert [g.phrase for g in with_tag.groups] == [g.phrase for g in without.groups] == ["a red cat", "a blue dog"]
