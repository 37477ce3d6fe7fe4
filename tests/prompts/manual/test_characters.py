"""Groups by hand for characters that the prompt only counts: "girl#1" on "2girls"."""

from __future__ import annotations

from tome_ext.prompts import read_prompt
from tome_ext.prompts.preview import as_html, as_json, as_text

TEXT = "2girls, blonde hair, red dress, smile, black hair, blue dress, beach"
GROUPS = "girl#1: blonde hair, red dress; girl#2: black hair, blue dress"


def read(manual: str, text: str = TEXT):
    return read_prompt(text, parser="builtin", manual=manual)


def test_the_tags_of_each_make_one_group_at_the_noun_of_the_first_tag():
    first, second = read(GROUPS).groups
    assert (first.name, first.noun.text, first.noun.start) == ("girl#1", "hair", TEXT.index("hair"))
    assert [s.text for s in first.related] == ["blonde", "red", "dress"]
    assert (second.name, second.noun.start) == ("girl#2", TEXT.rindex("hair"))
    assert [(t.text, t.span, t.weight) for t in second.extra] == [("girl", None, None)]
    assert (first.phrase, second.phrase) == ("girl, blonde hair, red dress", "girl, black hair, blue dress")


def test_the_clean_prompt_keeps_the_count_and_the_other_tags():
    reading = read(GROUPS)
    assert (reading.clean, reading.clean_problem, reading.warnings) == ("2girls, smile, beach", "", ())


def test_spelled_numbers_and_tags_that_are_not_there():
    reading = read("boy#2: green hat, cape", "two boys, green hat, red hat")
    (boy,) = reading.groups[:1] if reading.groups[0].name else reading.groups[1:]
    assert (boy.name, boy.noun.text, [s.text for s in boy.related]) == ("boy#2", "hat", ["green"])
    assert "'cape'" in reading.warnings[0]
    assert "'girl#3': not in the prompt" in read("girl#3: smile").warnings[0]
    assert "none of its words" in read("girl#1: crown").warnings[0]


def test_a_word_of_the_prompt_is_an_ordinary_noun():
    (group,) = read("girl#1: red", "2girls, a girl, red").groups
    assert (group.name, group.noun.text) == ("", "girl")


def test_the_preview_names_the_owner_and_tells_how_to_say_who_has_what():
    assert "girl#1 (at 'hair')" in as_text(read(GROUPS), colour=False)
    assert as_json(read(GROUPS))["groups"][0]["name"] == "girl#1"
    hinted = read_prompt(TEXT, parser="builtin")
    assert "girl#1: blonde hair, red dress; girl#2: black hair, blue dress" in hinted.hints[0]
    assert "nothing says which" in as_html(hinted)
    assert not read(GROUPS).hints
    assert not read_prompt("1girl, blonde hair, red dress", parser="builtin").hints
