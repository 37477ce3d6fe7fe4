"""The WebUI's prompt language: spans into the typed text, branches, and the texts of a schedule."""

from __future__ import annotations

import pytest

from tests.golden.compact import load
from tome_ext.prompts import read_prompt
from tome_ext.prompts.host_syntax import Mapped, plain_text
from tome_ext.prompts.host_syntax.a1111 import fragments
from tome_ext.prompts.prompt_editing import parts

SCHEDULES = load()["schedules"]


def groups(text: str, **options: str) -> list[tuple[str, list[str]]]:
    reading = read_prompt(text, parser="builtin", **options)
    for group in reading.groups:
        for span in (group.noun, *group.related):
            assert text[span.start : span.end] == span.text
    return [(g.noun.text, [s.text for s in g.related]) for g in reading.groups]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a (red:1.3) cat", "a red cat"),
        ("a ((red)) [cat]", "a red cat"),
        (r"a \(red\) cat", "a (red) cat"),
        ("a BREAK b", "a\nb"),
        ("(a BREAK b)", "aBREAKb"),
        ("a cat <lora:x:0.5> b", "a cat  b"),
        ("a [red:blue:0.5] cat", "a red cat"),
        ("a [red|blue] cat", "a red cat"),
        ("[ : a cat:3] b", " a cat b"),
        ("[a cat::10] b", "a cat b"),
        ("[sofa:[lamp:rug:12]:6]", "sofa"),
        ("a [b:c] d", "a b:c d"),
        ("((((", ""),
        ("a ) b ]", "a ) b ]"),
        ("x (a:1.2", "x a:1.2"),
    ],
)
def test_plain_text(text, said):
    assert plain_text(text)[0].text == said


def test_every_character_knows_where_it_was_typed():
    text = r"a ((red:1.2)) [cat:dog:3] \(x\) <lora:a:1> BREAK é"
    mapped, _ = plain_text(text)
    assert all(text[o] == c or c == "\n" for o, c in zip(mapped.offsets, mapped.text, strict=True))
    assert list(mapped.offsets) == sorted(set(mapped.offsets))


def test_weights_are_those_of_the_host():
    got = [(f.mapped.text, round(f.weight, 4)) for f in fragments(Mapped.of("a (b:1.5) ((c)) [d] (e (f:2))"))]
    brackets = [("a ", 1.0), ("b", 1.5), (" ", 1.0), ("c", 1.21), (" ", 1.0), ("d", 0.9091), (" ", 1.0)]
    assert got == [*brackets, ("e ", 1.1), ("f", 2.2)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a (red:1.3) cat and a [blue] dog", [("cat", ["red"]), ("dog", ["blue"])]),
        ("a (red cat:1.2)", [("cat", ["red"])]),
        ("a [blue:green:0.5] cat", [("cat", ["blue"])]),
        ("a red cat AND a blue dog :0.7", [("cat", ["red"]), ("dog", ["blue"])]),
        ("<lora:red cat:1> a blue dog", [("dog", ["blue"])]),
        ("日本の庭 🎨 a red cat, café rouge", [("cat", ["red"])]),
        ("a red\ncat", []),
        ("a cafe\u0301 and a red (cat)", [("cat", ["red"])]),
    ],
)
def test_spans_refer_to_the_typed_text(text, expected):
    assert groups(text) == expected


def test_plain_syntax_takes_brackets_as_characters():
    assert groups("a red cat and [a blue dog:a green dog:3]", syntax="plain")[1:] == [
        ("dog", ["blue"]),
        ("dog", ["green"]),
    ]
    assert read_prompt("a <b:c> red cat", syntax="plain", parser="builtin").clean == "a <b:c> cat"


def test_other_branches_and_network_tags_are_named():
    ignored = {i.span.text: i.reason for i in read_prompt("a [red:blue:3] cat <lora:x:1>").ignored}
    assert "text of its own" in ignored["blue"]
    assert "network tag" in ignored["<lora:x:1>"]


@pytest.mark.parametrize("record", SCHEDULES, ids=lambda r: r["prompt"])
def test_schedules_are_those_of_the_host(record):
    got = [(p.weight, [(v.end_at_step, v.text) for v in p.variants]) for p in parts(record["prompt"], 20)]
    assert got == [(p["weight"], [(v["end_at_step"], v["text"]) for v in p["schedule"]]) for p in record["subprompts"]]
    for part in parts(record["prompt"], 20):
        for variant in part.variants:
            mapped = variant.mapped
            assert all(record["prompt"][o] == c for o, c in zip(mapped.offsets, mapped.text, strict=True))


def test_a_bar_outside_brackets_switches_prompt_editing_off():
    assert [v.text for v in parts("a | [b:c:3]", 20)[0].variants] == ["a | [b:c:3]"]
