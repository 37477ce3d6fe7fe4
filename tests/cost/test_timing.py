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


def test_every_arm_is_measured_in_every_round_and_compared_with_plain_of_the_same_round(job, monkeypatch):
    """In place of a clock, the passes are counted; the second round is as on a machine twice as busy."""
    unet, rounds = job[0], []

    def counted(work, device):
        meter = Meter([unet])
        with meter:
            work()
        rounds.append(1)
        busy = 1 + len(rounds) // (2 * len(timing.ARMS) + 1)
        return busy * (meter.forward + meter.backward + 1), None

    monkeypatch.setattr(timing, "_timed", counted)
    lines = []
    found = timing.measure(unet, 16, rounds=2, steps=30, echo=lines.append)
    assert [one.name for one in found] == list(timing.ARMS)
    assert len(rounds) == 3 * len(timing.ARMS)
    assert len(lines) == 3
    ratios = {one.name: one.ratio for one in found}
    assert ratios["plain"] == 1
    assert 1 < ratios["fast"] < 1.001  # no pass of its own
    assert ratios["fast"] < ratios["balanced"] < ratios["paper"] < ratios["as published"]
    for one in found:
        assert one.least == pytest.approx(one.ratio) == one.most
        assert one.peak is None


def test_the_median_and_the_extremes_of_the_rounds_are_told():
    found = timing._timing("fast", {"plain": [1.0, 1.0, 1.0], "fast": [3.0, 9.0, 6.0]}, 30, None)
    assert (found.ratio, found.least, found.most, found.seconds) == (1.2, 1.1, 1.3, 6.0)
