"""The built-in reading of the benchmark's prompts agrees with the groups that the benchmark gives."""

from __future__ import annotations

import pytest

from tome_ext.prompts import Reading, read_prompt
from tome_ext.research.world.prompts import FAMILIES, families, prompt_of
from tome_ext.research.world.scenes import SHAPES, WORN, Thing

PROMPTS = [*families(30), *families(12, seed=1)]


def groups(reading: Reading) -> list[tuple[str, int, tuple[str, ...]]]:
    return [(g.noun.text, g.noun.start, tuple(s.text for s in g.related)) for g in reading.groups]


def misread(prompts):
    """What is read, and what should be, where they differ."""
    for prompt in prompts:
        by_itself = read_prompt(prompt.text, parser="builtin")
        told = read_prompt(prompt.text, parser="builtin", manual=prompt.groups, clean=prompt.clean)
        if (groups(by_itself), by_itself.clean) != (groups(told), told.clean):
            yield prompt.text, groups(by_itself), groups(told)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_prompt_is_read_as_the_benchmark_means_it(family):
    prompts = [prompt for prompt in PROMPTS if prompt.family == family]
    assert len(prompts) == 42
    assert not list(misread(prompts))


def test_every_shape_may_wear_everything():
    pairs = [
        (Thing(a, "red", worn=x), Thing(b, "red", worn=y)) for a in SHAPES for b in SHAPES for x in WORN for y in WORN
    ]
    prompts = [prompt_of((one, two), "wearing", colours=False) for one, two in pairs if one.shape != two.shape]
    assert not list(misread(prompts))
