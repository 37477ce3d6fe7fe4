"""Robustness training: words go, ends and norms change, and never are two tokens added up."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tome_ext.research.training.robustness import Changes, Robustness, draw_change, unchanged
from tome_ext.research.training.text import LENGTH, tokenize
from tome_ext.research.world.captions import random_caption
from tome_ext.research.world.scenes import random_scene


def drawn(count, plan, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        told = random_caption(random_scene(rng), rng)
        own, clean = tokenize(told), tokenize(told.clean)
        yield own, clean, draw_change(rng, own, clean, plan)


ALWAYS = Robustness(share=1.0)


def test_a_context_is_made_of_single_tokens_times_a_number():
    for own, clean, change in drawn(300, ALWAYS):
        rows = torch.randn(2, 1, LENGTH, 5)
        made = Changes.of([change]).context(rows[0], rows[1])[0]
        both = torch.cat([rows[0, 0], rows[1, 0]])
        for place, (source, scale) in enumerate(zip(change.order, change.scale, strict=True)):
            assert torch.allclose(made[place], both[source] * float(scale))
        assert 0.4 <= change.scale.min() <= change.scale.max() <= 4
        assert own.end < LENGTH
        assert clean.end <= own.end


def test_unchanged_captions_stay_and_are_as_many_as_asked_for():
    same = [np.array_equal(change.order, np.arange(LENGTH)) for _, _, change in drawn(400, Robustness(share=0.0))]
    assert all(same)
    context = torch.randn(1, LENGTH, 3)
    assert torch.equal(Changes.of([unchanged()]).context(context, torch.zeros_like(context)), context)
    changed = [
        not np.array_equal(change.order, np.arange(LENGTH)) for _, _, change in drawn(400, Robustness(share=0.5))
    ]
    assert 0.2 < np.mean(changed) < 0.6


def test_no_thing_loses_its_noun():
    for own, _, change in drawn(300, Robustness(share=1.0, alone=0.0)):
        for noun in own.nouns:
            assert set(noun) <= set(change.order.tolist())


def test_end_tokens_are_the_captions_own_or_the_clean_ones():
    kinds = set()
    for own, clean, change in drawn(200, Robustness(share=1.0, alone=0.0)):
        ends = [source for source in change.order if (source >= own.end and source < LENGTH) or source >= LENGTH]
        foreign = [source - LENGTH for source in ends if source >= LENGTH]
        kinds.add(bool(foreign))
        assert not foreign or (len(foreign) == len(ends) and min(foreign) == clean.end)
        assert change.order[0] == 0
        assert change.scale[0] == 1
        assert change.borrows == bool(foreign or change.pooled == 1)
    assert kinds == {True, False}


def test_one_token_contexts_hold_one_token():
    alone = [(own, change) for own, _, change in drawn(300, Robustness(share=1.0, alone=1.0)) if len(own.nouns) == 1]
    assert len(alone) > 50
    for own, change in alone:
        assert len(set(change.order.tolist())) == 1
        assert change.order[0] in {own.end, *own.nouns[0], *own.related[0]}


@pytest.mark.parametrize(("kind", "expected"), [(0, 1.0), (1, 2.0), (2, 0.0)])
def test_pooled_vectors_are_the_own_the_clean_ones_or_zeros(kind, expected):
    from dataclasses import replace

    changes = Changes.of([replace(unchanged(), pooled=kind)])
    assert changes.vectors(torch.ones(1, 3), 2 * torch.ones(1, 3)).tolist() == [[expected] * 3]
