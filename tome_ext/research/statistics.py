"""Intervals: Wilson's for a share, and the paired bootstrap for the difference of two arms on the same seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Counts = tuple[Sequence[float], Sequence[float]]
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def percent(self) -> str:
        """As text: "43 % (38–48)"."""
        if math.isnan(self.value):
            return "–"
        return f"{100 * self.value:.0f} % ({100 * self.low:.0f}–{100 * self.high:.0f})"

    def difference(self) -> str:
        """As the text of a difference: "+4 (-2 … +10)"."""
        if math.isnan(self.value):
            return "–"
        return f"{100 * self.value:+.0f} ({100 * self.low:+.0f} … {100 * self.high:+.0f})"


def wilson(successes: float, trials: int, z: float = _Z95) -> Interval:
    """Wilson's score interval of a share; without trials anything from 0 to 1 is possible (value NaN)."""
    if trials == 0:
        return Interval(math.nan, 0.0, 1.0)
    share = successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    # Rounding must not put the estimate outside its own interval.
    return Interval(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))


def paired_bootstrap(
    first: Sequence[float],
    second: Sequence[float],
    clusters: Sequence[object] | None = None,
    *,
    rounds: int = 5000,
    seed: int = 0,
) -> Interval:
    """The mean of ``second`` − ``first``, pair by pair, with its percentile interval.

    ``clusters``: what belongs together, such as the images of one prompt, is drawn together. Raises ValueError for
    unequal lengths or none.
    """
    if len(first) != len(second) or not len(first):
        raise ValueError(f"{len(first)} and {len(second)} values: there must be as many, and at least one")
    ones = [1.0] * len(first)
    return paired_shares((first, ones), (second, ones), clusters, rounds=rounds, seed=seed)


def paired_shares(
    first: Counts, second: Counts, clusters: Sequence[object] | None = None, *, rounds: int = 5000, seed: int = 0
) -> Interval:
    """The difference of two shares, each Σ successes / Σ trials over the same images, with its percentile interval.

    ``first``, ``second``: successes and trials, one each per image. Both arms' images of a cluster are drawn together.
    Raises ValueError for unequal lengths; without trials the difference is NaN.
    """
    counts = np.array([*first, *second], float)
    names = list(range(counts.shape[1])) if clusters is None else list(clusters)
    order = {name: number for number, name in enumerate(dict.fromkeys(names))}
    member = np.array([order[name] for name in names])
    sums = np.stack([np.bincount(member, row, len(order)) for row in counts])
    if not (sums[1].any() and sums[3].any()):
        return Interval(math.nan, -1.0, 1.0)
    drawn = np.random.default_rng(seed).integers(0, len(order), (rounds, len(order)))
    with np.errstate(invalid="ignore"):  # a round may draw no trials
        found = _difference(*(row[drawn].sum(1) for row in sums))
    low, high = np.nanquantile(found, (0.025, 0.975))
    return Interval(float(_difference(*sums.sum(1))), float(low), float(high))


def _difference(hits: Any, trials: Any, other_hits: Any, other_trials: Any) -> Any:
    return other_hits / other_trials - hits / trials
