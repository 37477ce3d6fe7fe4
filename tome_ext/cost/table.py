"""The small table behind :mod:`tome_ext.cost.estimate`, counted on the full-size UNets."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from tome_ext.cost.meter import Meter
from tome_ext.cost.models import Architecture
from tome_ext.method.attention import AttentionRecorder
from tome_ext.method.backward.checkpointing import checkpointed
from tome_ext.method.layers import cross_attention_layers, select_layers
from tome_ext.tokens.vocabulary import CHUNK

# Sides of the square latents that determine c + a·n + b·n².
_SIDES = (32, 64, 128)
_NAMED = ("reference", "paper", "middle")
_MEASURES = ("forward", "backward", "backward_to_latents", "recomputed", "saved")


def table(model: Architecture) -> dict[str, Any]:
    """The coefficients [c, a, b] of every kind of pass of one row, in FLOPs and, for "saved", bytes.

    "full": of a whole prompt; "alone": of one token; "reference", "paper", "middle": up to those layers.
    ``shares``: the part of the full forward pass that comes before each of the ``layers`` is done.
    """
    found: dict[str, Any] = {
        "full": _coefficients(model),
        "alone": _coefficients(model, tokens=1),
        **{name: _coefficients(model, layers=name) for name in _NAMED},
    }
    found["layers"] = list(cross_attention_layers(model.unet))
    found["shares"] = _shares(model)
    found["encoding"] = model.encoding
    return found


def _coefficients(model: Architecture, layers: str | None = None, tokens: int = CHUNK) -> dict[str, list[float]]:
    passes = [_measure(model, side, layers, tokens) for side in _SIDES]
    pixels = np.array([side**2 for side in _SIDES], dtype=float)
    powers = np.stack([np.ones_like(pixels), pixels, pixels**2], axis=1)
    solved = np.linalg.solve(powers, np.array(passes, dtype=float))
    return {name: [float(f"{value:.7g}") for value in solved[:, i]] for i, name in enumerate(_MEASURES)}


def _measure(model: Architecture, side: int, layers: str | None, tokens: int) -> Sequence[int]:
    """What the :data:`_MEASURES` say of one row's pass over ``side`` x ``side`` latent pixels."""
    kept = _pass(model, side, layers, tokens)
    to_latents = _pass(model, side, layers, tokens, to_latents=True)
    again = _pass(model, side, layers, tokens, again=True)
    return kept.forward, kept.backward, to_latents.backward, again.recomputed, kept.peak_saved


def _pass(
    model: Architecture, side: int, layers: str | None, tokens: int, *, to_latents: bool = False, again: bool = False
) -> Meter:
    latents = torch.zeros(1, 4, side, side, device="meta", dtype=torch.float16, requires_grad=to_latents)
    context = torch.zeros(1, tokens, model.width, device="meta", dtype=torch.float16, requires_grad=True)
    meter = Meter([model.unet])
    with meter, checkpointed(model.unet) if again else nullcontext():
        if layers is None:
            result = model.predict(latents, context)
        else:
            with AttentionRecorder(select_layers(model.unet, layers), stop=True) as recorder:
                recorder.run(lambda: model.predict(latents, context))
                result = recorder.probabilities()
        torch.autograd.grad(result.sum(), [context, latents] if to_latents else [context])
    return meter


def _shares(model: Architecture, side: int = 128) -> list[float]:
    reached: list[int] = []
    meter = Meter([model.unet])
    handles = [
        layer.to_k.register_forward_hook(lambda *_: reached.append(meter.flops))  # type: ignore[union-attr]
        for layer in cross_attention_layers(model.unet).values()
    ]
    latents = torch.zeros(1, 4, side, side, device="meta", dtype=torch.float16)
    with meter, torch.no_grad():
        model.predict(latents, torch.zeros(1, CHUNK, model.width, device="meta"))
    for handle in handles:
        handle.remove()
    return [round(flops / meter.flops, 4) for flops in reached]
