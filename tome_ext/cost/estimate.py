"""What a run will cost, in less than a millisecond and without torch: for a line under the controls.

The figures come from ``embedded/cost.json``, which ``python -m tome_ext cost --write-docs`` counts on the full-size
UNets. FLOPs of a pass over n latent pixels are c + a·n + b·n² (b: self-attention).
"""

from __future__ import annotations

import fnmatch
from typing import Any

from tome_ext.embedded.counts import at, counts
from tome_ext.method.window import reduced_side, refined_calls
from tome_ext.settings import Settings

SIZES = {"sdxl": 1024, "sd15": 512}


def estimate(
    settings: Settings,
    model: str = "sdxl",
    *,
    steps: int = 30,
    objects: int = 2,
    batch: int = 1,
    width: int | None = None,
    height: int | None = None,
    guided: bool = True,
) -> float:
    """FLOPs of a run in those of plain sampling, 1.0 = nothing added; as counted by ``cost``, to 1 %.

    ``model``: "sdxl" or "sd15". ``objects``: of each of the ``batch`` images. Sizes in pixels, by default the
    model's own. ``guided``: with a negative prompt; without one (CFG 1) plain sampling costs half. Early stop is not
    foreseen; memory is taken to be sufficient unless ``checkpointing`` is "on".
    """
    table = counts()[model]
    size = [(side or SIZES[model]) // 8 for side in (height, width)]
    plain = (2 if guided else 1) * steps * batch * at(table["full"]["forward"], size[0] * size[1])
    count = refined_calls(steps, settings)
    texts = (batch if settings.ets != "off" else 0) + (
        objects * batch if settings.refines and settings.binding_weight else 0
    )
    extra = count * _refined_step(settings, table, size, objects * batch, batch) if count else 0.0
    ratio: float = 1 + (extra + texts * table["encoding"]) / plain
    return ratio


def _refined_step(settings: Settings, table: dict[str, Any], size: list[int], objects: int, images: int) -> float:
    pixels = reduced_side(size[0], settings.resolution) * reduced_side(size[1], settings.resolution)
    separate = settings.order == "separate"
    bindings = settings.binding_iterations if separate else settings.iterations
    total = 0.0
    if settings.binding_weight and bindings:
        targets = 2 if settings.phrase_latent == "own" else 1
        total += objects * targets * at(table["full"]["forward"], pixels)
        total += objects * bindings * _both_ways(table["alone"], "backward", pixels, settings)
    if settings.entropy_weight or settings.position_weight:
        backward = "backward_to_latents" if settings.latent_step else "backward"
        attention = _both_ways(_truncated(table, settings.layers), backward, pixels, settings)
        total += images * settings.iterations * attention
    return total


def _both_ways(entry: dict[str, list[float]], backward: str, pixels: int, settings: Settings) -> float:
    again = ["recomputed"] if settings.checkpointing == "on" else []
    return sum(at(entry[name], pixels) for name in ["forward", backward, *again])


def _truncated(table: dict[str, Any], layers: str) -> dict[str, list[float]]:
    """The pass that ends after the last of the ``layers``; for layers by name, a share of the full pass."""
    if layers in table:
        return table[layers]  # type: ignore[no-any-return]
    patterns = [pattern.strip() for pattern in layers.split(",")]
    chosen = [number for number, name in enumerate(table["layers"]) if _matches(name, patterns)]
    share = table["shares"][max(chosen)] if chosen else 1.0
    return {name: [share * value for value in values] for name, values in table["full"].items()}


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
