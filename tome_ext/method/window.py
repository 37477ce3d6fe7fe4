"""When the losses are evaluated in a sampling run, and on how large a latent."""

from __future__ import annotations

import math

from tome_ext.settings import Settings

# UNets halve the latent up to three times.
_MULTIPLE = 8


def refined(index: int, total: int, settings: Settings) -> bool:
    """Whether the settings refine at model call ``index`` of ``total``.

    Its place in the run lies in [window_start, window_stop), and it is the first there or an ``every``-th after it.
    """
    first = math.ceil(settings.window_start * total - 1e-9)
    inside = first <= index and index / total < settings.window_stop - 1e-9
    return settings.refines and inside and (index - first) % settings.every == 0


def reduced_side(size: int, resolution: float) -> int:
    """The side of the latent that the losses see at a ``resolution`` (0 … 1): a multiple of 8, at least 8."""
    if resolution >= 1:
        return size
    return min(size, max(_MULTIPLE, round(size * resolution / _MULTIPLE) * _MULTIPLE))
