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
    """In place of a clock, given numbers; the last round is as on a machine twice as busy."""
    ran, lines = [], []

    def clock(work, device):
        number, arm = divmod(len(ran), len(timing.ARMS))
        ran.append(work.args[0])
        return (1 + number // 2) * (1.0 + arm), None

    monkeypatch.setattr(timing, "_timed", clock)
    found = timing.measure(job[0], 16, rounds=2, steps=30, echo=lines.append)
    assert ran == 3 * list(timing.ARMS)  # the first round warms up
    assert len(lines) == 3
    assert [one.name for one in found] == list(timing.ARMS)
    by_name = {one.name: one for one in found}
    assert by_name["plain"].ratio == 1
    assert by_name["paper"].ratio > by_name["balanced"].ratio > by_name["fast"].ratio > 1
    for one in found:
        assert one.least == pytest.approx(one.ratio) == pytest.approx(one.most)
        assert one.peak is None


def test_the_median_and_the_extremes_of_the_rounds_are_told():
    found = timing._timing("fast", {"plain": [1.0, 1.0, 1.0], "fast": [3.0, 9.0, 6.0]}, 30, None)
    assert (found.ratio, found.least, found.most, found.seconds) == (1.2, 1.1, 1.3, 6.0)
