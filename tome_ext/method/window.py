"""When the losses are evaluated in a sampling run, and on how large a latent."""

from __future__ import annotations

import bisect
import functools
import math

from tome_ext.settings import Settings

# Stable Diffusion's training: steps, and the first and last β.
_STEPS, _BETAS = 1000, (0.00085, 0.012)
_HALF_A_STEP = 0.5 / _STEPS
# As many as the samplers of the highest order make.
_CALLS_PER_STEP = 3
# UNets halve the latent up to three times.
_MULTIPLE = 8


def inside(place: float, index: int, settings: Settings, total: int | None = None) -> bool:
    """Whether the settings refine at model call ``index``, whose noise level lies at ``place`` of the schedule.

    ``place``: 0 at pure noise, 1 at the image. It lies in [window_start, window_stop), to half a step of training, and
    the call is an ``every``-th one. ``total``: the steps of the run, see :func:`beyond`.
    """
    if total is not None and beyond(index, total):
        return False
    within = reached(place, settings.window_start) and not reached(place, settings.window_stop)
    return settings.refines and within and index % settings.every == 0


def beyond(call: int, steps: int) -> bool:
    """Whether the model call number ``call``, from 0 on, is one of too many to be refined in a run of ``steps``.

    An adaptive sampler makes any number of calls, the more of them the more the text changes.
    """
    return call >= _CALLS_PER_STEP * steps


def reached(place: float, fraction: float) -> bool:
    """Whether a noise level at ``place`` has come to ``fraction`` of the schedule, to half a step of training."""
    return place >= fraction - _HALF_A_STEP


def nothing_refined(begin: float, settings: Settings) -> str:
    """What to tell the user of a run that begins at the place ``begin`` and has no step to refine."""
    told = (
        f"no step is refined: sampling begins at {begin:.2f} of the noise schedule, the window is "
        f"{settings.window_start:g} to {settings.window_stop:g}"
    )
    skipped = settings.every > 1 and not reached(begin, settings.window_stop)
    return f"{told}, and every = {settings.every} skips its steps" if skipped else told


def refined_calls(total: int, settings: Settings) -> int:
    """How many of the ``total`` model calls of an even run over the whole schedule are refined."""
    last = math.ceil(settings.window_stop * total)
    return sum(inside(index / total, index, settings) for index in range(min(last, total)))


def noise_place(sigma: float) -> float:
    """Where a noise level σ = √((1 − ᾱ)/ᾱ) lies in Stable Diffusion's schedule: 0 at its strongest noise, 1 at none.

    The schedule of training has 1000 steps with √β evenly spaced between √0.00085 and √0.012; SD1.5, SD2 and SDXL and
    what is trained on from them share it.
    """
    levels = _noise_levels()
    step = bisect.bisect_left(levels, sigma)
    if step == 0 or step == len(levels):
        return 1.0 if step == 0 else 0.0
    low, high = levels[step - 1], levels[step]
    exact = step - 1 + (math.log(sigma) - math.log(low)) / (math.log(high) - math.log(low))
    return 1 - exact / (len(levels) - 1)


@functools.cache
def _noise_levels() -> tuple[float, ...]:
    kept, levels = 1.0, []
    for step in range(_STEPS):
        kept *= 1 - (math.sqrt(_BETAS[0]) + step / (_STEPS - 1) * (math.sqrt(_BETAS[1]) - math.sqrt(_BETAS[0]))) ** 2
        levels.append(math.sqrt((1 - kept) / kept))
    return tuple(levels)


def reduced_side(size: int, resolution: float) -> int:
    """The side of the latent that the losses see at a ``resolution`` (0 … 1): a multiple of 8, at least 8."""
    if resolution >= 1:
        return size
    return min(size, max(_MULTIPLE, round(size * resolution / _MULTIPLE) * _MULTIPLE))
