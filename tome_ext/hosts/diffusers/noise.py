"""Noise levels, places in the noise schedule and kinds of prediction, from a pipeline's scheduler."""

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


class Schedule:
    """The whole noise schedule of one call of a pipeline; an image-to-image call begins somewhere within it.

    ``total``: its number of model calls, ``start``: the first one that is made.
    """

    def __init__(self, scheduler: Any, first: float) -> None:
        self.timesteps: Tensor = scheduler.timesteps
        self._known = getattr(scheduler, "alphas_cumprod", None) is not None
        self._levels: list[float] = torch.as_tensor(self.timesteps).float().cpu().tolist()
        self.first, self.total = first, len(self._levels)
        self.start = min(range(self.total), key=lambda index: abs(self._levels[index] - first))

    def place(self, index: int, timestep: float) -> float:
        """Where in the noise schedule a call is: 0 at its strongest noise, which is where a picture begins, 1 at none.

        Timesteps are places in the model's own noise schedule, so a sampler that makes two calls at a level, spends
        its steps unevenly or begins late is no different. Where they are something else (schedulers without ᾱ), it
        is the share of the calls.
        """
        highest = max(self._levels)
        if not self._known or highest <= 0:
            return min(index, self.total - 1) / self.total
        return min(max(1 - timestep / highest, 0.0), 1.0)

    @property
    def coming(self) -> list[float]:
        """The place of each call from the first one made."""
        return [self.place(index, self._levels[index]) for index in range(self.start, self.total)]
