"""Noise levels and kinds of prediction, from what a pipeline's scheduler was trained with."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def noise_level(scheduler: Any, timestep: float) -> float:
    """σ = √((1 − ᾱ)/ᾱ) at a timestep, fractions included; ValueError for a scheduler without ᾱ."""
    cumulative = getattr(scheduler, "alphas_cumprod", None)
    if cumulative is None:
        raise ValueError(f"{type(scheduler).__name__} has no alphas_cumprod: refinement does not know its noise level")
    last = len(cumulative) - 1
    low = min(max(math.floor(timestep), 0), last)
    high = min(low + 1, last)
    logs = [math.log((1 - float(cumulative[t])) / max(float(cumulative[t]), 1e-8)) / 2 for t in (low, high)]
    return math.exp(logs[0] + (logs[1] - logs[0]) * min(max(timestep - low, 0.0), 1.0))


def noise_of(scheduler: Any, sigma: float) -> Callable[[Tensor, Tensor], Tensor]:
    """The function (model output, latents as the model sees them) → ε for the scheduler's kind of prediction."""
    kind = getattr(scheduler.config, "prediction_type", "epsilon")
    signal = 1 / math.sqrt(1 + sigma**2)
    noise = sigma * signal
    if kind == "epsilon":
        return lambda output, latents: output
    if kind == "v_prediction":
        return lambda output, latents: signal * output + noise * latents
    if kind == "sample":
        return lambda output, latents: (latents - signal * output) / noise
    raise ValueError(f"prediction_type = {kind!r}: must be epsilon, v_prediction or sample")


def place_in_run(timesteps: Tensor, timestep: float) -> tuple[int, int]:
    """How many calls the run has left from the first one, at ``timestep``: (start, total).

    An image-to-image run begins somewhere within the scheduler's timesteps.
    """
    start = int(torch.as_tensor(timesteps).float().cpu().sub(timestep).abs().argmin())
    return start, len(timesteps) - start
