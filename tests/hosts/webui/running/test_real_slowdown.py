"""In a real WebUI: the time that refinement takes is the time of the operations that are counted for it."""

from __future__ import annotations

import statistics

import pytest

pytestmark = [pytest.mark.webui, pytest.mark.slow]

ROUNDS = 3


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("checkpoint", ["sdxl", "sd15"])
def test_the_slowdown_is_the_counted_one(webui, checkpoint, batch):
    """Wants a machine with nothing else to do. Both kinds of job in turn; medians of the ratios."""
    webui.load(checkpoint)
    size = {"batch_size": batch, "steps": 15, "width": 384, "height": 384}

    def clock(tome, count=False):
        webui.probe("clock", count=count)
        webui.make(tome, **size)
        return webui.probe("clock")

    counted = [clock(tome, count=True)["flops"][0] for tome in (None, {})]
    ratios = []
    for _ in range(ROUNDS):
        plain, refined = (clock(tome)["seconds"][0] for tome in (None, {}))
        ratios.append(refined / plain)
    measured, expected = statistics.median(ratios), counted[1] / counted[0]
    print(f"{checkpoint}, batch {batch}: counted {expected:.3f}, measured {measured:.3f}, {sorted(ratios)}")
    assert measured == pytest.approx(expected, rel=0.15)
