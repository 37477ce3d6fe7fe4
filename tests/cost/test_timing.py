from __future__ import annotations

import pytest
import torch

from tome_ext.cost import timing
from tome_ext.cost.meter import Meter


@pytest.fixture(scope="module")
def job():
    torch.manual_seed(0)
    unet = timing.small_unet(32)
    return unet, *timing._job(unet, 16)


def test_the_published_order_does_the_passes_that_method_counts(job):
    """Per refined step 5K + A forward and 3K + 2A backward passes, K = 2 objects, A = 6 iterations."""
    unet, step, tokens = job
    settings = timing._settings("as published")
    forward = Meter([unet])
    with forward, torch.no_grad():
        step.predict(step.latents, tokens.context, [0])
    alone = Meter([unet])
    with alone, torch.no_grad():
        step.predict(step.latents, tokens.context[:, :1], [0])
    meter = Meter([unet])
    with meter:
        timing.as_published(step, tokens, settings)
    assert meter.forward == pytest.approx(10 * forward.forward + 6 * alone.forward, rel=0.01)
    assert 12 * 0.3 < meter.backward / forward.forward < 18 * 1.2


def test_every_arm_is_timed_in_every_round(job):
    lines = []
    found = timing.measure(job[0], 16, rounds=2, steps=30, say=lines.append)
    assert [one.name for one in found] == list(timing.ARMS)
    assert len(lines) == 3
    assert found[0].ratio == 1
    for one in found[1:]:
        assert 1 < one.least <= one.ratio <= one.most
        assert one.peak is None
    ratios = {one.name: one.ratio for one in found}
    assert ratios["fast"] < ratios["balanced"] < ratios["paper"]
