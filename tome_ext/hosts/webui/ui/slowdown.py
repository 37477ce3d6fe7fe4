"""The expected slowdown, in words for the user interface."""

from __future__ import annotations

from tome_ext.cost.estimate import estimate
from tome_ext.settings import Settings


def ratio(settings: Settings) -> float:
    """The computation of a run of 30 steps on SDXL with two objects, in that of plain sampling."""
    return estimate(settings, "sdxl", steps=30, objects=2)


def slowdown(settings: Settings) -> str:
    """How much more there is to compute with these settings."""
    if not settings.refines:
        return "No pass through the network beyond those of plain sampling."
    return f"About {ratio(settings):.2f} times the computation of plain sampling (SDXL, two objects)."
