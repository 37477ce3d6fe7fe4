"""Any text at all: no exception, spans inside it, disjoint groups, the same answer twice, linear time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.counting import calls
from tome_ext.prompts import GroupSyntaxError, read_prompt
from tome_ext.prompts.preview import as_html, as_text
from tome_ext.prompts.prompt_editing import parts

PLAIN_WORDS = "a an the red blue wooden cat dog car 1girl hat wearing with holding in on and or very light teddy bear"
MARKS = ", . ; : | ( ) [ ] (( )) \\( \\) < > BREAK AND <lora:x:1> :1.2) [a:b:3] [a|b] 'quality' é 日本 🎨 _ - 's"
SMALL_WORDS = "that is has its of by can"
WORDS = [*PLAIN_WORDS.split(), *MARKS.split(), *SMALL_WORDS.split(), "\n"]
PROMPTS = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=60).map("".join),
    st.text(alphabet="()[]:|\\a1. ", max_size=120),
)


def check(text: str, **options: str) -> None:
    reading = read_prompt(text, parser="builtin", **options)
    used: set[int] = set()
    for group in reading.groups:
        spans = [group.noun, *group.related, *(t.span for t in group.extra if t.span is not None)]
        for span in spans:
            assert 0 <= span.start < span.end <= len(text)
            assert span.text == text[span.start : span.end]
            characters = set(range(span.start, span.end))
            assert not used & characters
            used |= characters
        assert group.phrase
    for item in reading.ignored:
        assert text[item.span.start : item.span.end] == item.span.text
    assert read_prompt(text, parser="builtin", **options) == reading
    if not reading.groups:
        assert reading.clean == text


@settings(deadline=None, max_examples=300)
@given(PROMPTS, st.sampled_from(["a1111", "comfy", "plain"]))
def test_reading_any_text(text, syntax):
    check(text, syntax=syntax)


@settings(deadline=None, max_examples=150)
@given(PROMPTS)
def test_previews_show_the_whole_text_and_nothing_live(text):
    reading = read_prompt(text, parser="builtin")
    html = as_html(reading)
    for tag in ("<script", "<b>", "<lora", "<x"):
        assert tag not in html.lower().replace("<b style", "")
    assert as_text(reading, colour=False)


@settings(deadline=None, max_examples=200)
@given(PROMPTS, st.integers(1, 30))
def test_schedules_of_any_text(text, steps):
    for part in parts(text, steps):
        assert part.variants[-1].end_at_step == steps
        for variant in part.variants:
            mapped = variant.mapped
            assert "".join(text[i] for i in mapped.offsets) == mapped.text


@settings(deadline=None, max_examples=200)
@given(PROMPTS, st.one_of(PROMPTS, st.text(alphabet='cat dog:;,+-*#12."\n', max_size=40)))
def test_any_hand_written_groups_are_read_or_refused(text, manual):
    refused: GroupSyntaxError | None = None
    try:
        check(text, manual=manual)
    except GroupSyntaxError as error:
        refused = error
    assert refused is None or 0 <= refused.position <= len(manual)


UNITS = [
    *["(a", "(", "[a|", "a red ", "red and ", "red, ", "a cat with a hat ", " ", "[a:b:1]", "[", "a\\(", "<a:", ":1"],
    *["1.1", "'", "a", "can ", "very ", "the car is ", "(red:1.2) ", "big red ", "that is ", "BREAK ", "[x:y:"],
    *["wearing a hat and ", "a red car and truck and ", "1girl, red hair, ", "\u0301", "日本", "🎨", "cat's ", "_"],
    *["((a:1.1)", "AND ", "in a red hat "],
]


@pytest.mark.parametrize("unit", UNITS)
def test_the_work_grows_with_the_length_and_no_faster(unit):
    read_prompt(unit, parser="builtin")
    half, text = ((unit * length)[:length] for length in (1_000, 2_000))
    assert calls(lambda: check(text)) < 3 * calls(lambda: check(half)) + 1000
    text = (unit * 10_000)[:10_000]
    read_prompt(text + "]" * 2000, parser="builtin", manual="cat: red")
