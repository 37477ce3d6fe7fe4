"""The expected slowdown, in words for the user interface."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from tome_ext.settings import Settings

# In sampling steps of SDXL at 1024 x 1024 (one image, prompt and negative prompt), by ``python -m tome_ext cost``:
# a prediction of the phrase alone; one binding update of one object; one entropy update by its layers.
_TARGET = 0.5
_BINDING = 1.0224
_ATTENTION = {"reference": 0.6071, "paper": 0.4781, "middle": 0.4231}
_STEPS, _OBJECTS = 30, 2


def ratio(settings: Settings) -> float:
    """The computation of a run of 30 steps with two objects, in that of plain sampling; texts are not counted."""
    from tome_ext.refinement import in_window

    windows = [cast(Any, SimpleNamespace(index=index, total=_STEPS)) for index in range(_STEPS)]
    return 1 + _step(settings) * sum(in_window(step, settings) for step in windows) / _STEPS


def _step(settings: Settings) -> float:
    """One refined step."""
    attends = settings.entropy_weight > 0 or settings.position_weight > 0
    updates = settings.binding_iterations if settings.order == "separate" else settings.iterations
    out = settings.iterations * _ATTENTION.get(settings.layers, max(_ATTENTION.values())) if attends else 0.0
    if settings.binding_weight > 0 and updates:
        predictions = 2 if settings.phrase_latent == "own" else 1
        out += _OBJECTS * (predictions * _TARGET + updates * _BINDING)
    return out


def slowdown(settings: Settings) -> str:
    """How much more there is to compute with these settings."""
    found = ratio(settings)
    if found == 1:
        return "No pass through the network beyond those of plain sampling."
    return f"About {found:.1f} times the computation of plain sampling (SDXL, two objects)."
