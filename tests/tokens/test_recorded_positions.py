"""Every recorded position, from spans and the host's own chunks."""

from __future__ import annotations

import pytest

from tests.golden.compact import load
from tome_ext.prompts import Group, Reading, Span, read_prompt
from tome_ext.prompts.host_syntax import Mapped
from tome_ext.prompts.host_syntax.a1111 import fragments
from tome_ext.tokens import locate
from tome_ext.tokens.bpe import encode

DATA = load()
PROMPTS = DATA["prompts"]


def listed(prompt):
    groups = [
        Group(Span(*g["noun"], g["noun_text"]), tuple(Span(*r["span"], r["text"]) for r in g["related"]), "")
        for g in prompt["groups"]
    ]
    return Reading(prompt["text"], "listed", tuple(groups), "")


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda p: f"{p['family']}: {p['text'][-60:]}")
def test_all_positions_of_the_listed_groups(prompt):
    located = locate(listed(prompt), prompt["chunks"], encode)
    assert located.warnings == ()
    got = [([*map(list, g.noun)], [[*map(list, r)] for r in g.related]) for g in located.groups]
    assert got == [(g["noun_positions"], [r["positions"] for r in g["related"]]) for g in prompt["groups"]]


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda p: f"{p['family']}: {p['text'][-60:]}")
def test_ends_are_the_first_end_tokens(prompt):
    located = locate(listed(prompt), prompt["chunks"], encode)
    assert located.ends == tuple(c["tokens"].index(49407) for c in prompt["chunks"])


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda p: f"{p['family']}: {p['text'][-60:]}")
def test_nothing_that_is_read_goes_missing(prompt):
    reading = read_prompt(prompt["text"], parser="builtin")
    located = locate(reading, prompt["chunks"], encode)
    assert [g.group for g in located.groups] == list(reading.groups)


@pytest.mark.parametrize("record", DATA["schedules"], ids=lambda r: r["prompt"])
def test_each_text_of_a_schedule_has_its_own_positions(record):
    for part in record["subprompts"]:
        for variant in part["schedule"]:
            reading = read_prompt(variant["text"], parser="builtin")
            located = locate(reading, variant["chunks"], encode)
            assert located.warnings == ()
            assert len(located.groups) == len(reading.groups)
            for group in located.groups:
                for span, places in zip(group.group.related, group.related, strict=True):
                    tokens = [variant["chunks"][c]["tokens"][p] for c, p in places]
                    assert tokens == encode(span.text)


def test_the_tokenizer_agrees_with_the_host():
    for prompt in PROMPTS:
        if any(c["fixes"] for c in prompt["chunks"]):
            continue
        mine = [t for f in fragments(Mapped.of(prompt["text"])) if not f.is_break for t in encode(f.mapped.text)]
        host = [t for c in prompt["chunks"] for t in c["tokens"] if t not in (49406, 49407)]
        assert mine == host, prompt["text"]
