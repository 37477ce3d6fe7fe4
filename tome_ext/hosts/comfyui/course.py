"""Where the model calls of one sampler node lie in the whole noise schedule: a node may do a part of it alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tome_ext.method.window import beyond, inside, noise_place
from tome_ext.settings import Settings

_SAME_LEVEL = 1e-4


@dataclass(frozen=True)
class Course:
    """The noise levels (noise over signal) of a run, from its first call to where it ends.

    ``total``: how many calls the whole schedule has at this pace; ``start``: the number of the first one.
    """

    levels: tuple[float, ...]
    start: int
    total: int

    @classmethod
    def of(cls, levels: Sequence[float]) -> Course:
        """The course of a sampler's noise levels."""
        calls = _calls(levels)
        begin, end = noise_place(levels[0]), noise_place(levels[-1])
        total = round(calls / max(end - begin, 1e-3))
        return cls(tuple(levels), min(round(begin * total), total - calls), total)

    def index(self, level: float) -> int:
        """The number of a call at a noise level, in the whole schedule."""
        done = sum(other > level * (1 + _SAME_LEVEL) for other in self.levels[:-1])
        return min(self.start + done, self.total - 1)

    def is_beyond(self, call: int) -> bool:
        """Whether the call number ``call`` of the run, from 0 on, is one of too many to be refined."""
        return beyond(call, _calls(self.levels))

    def is_last(self, level: float) -> bool:
        """Whether a call at this noise level is the last one of the run."""
        return level <= self.levels[max(len(self.levels) - 2, 0)] * (1 + _SAME_LEVEL)

    def refines(self, settings: Settings) -> bool:
        """Whether the settings refine at any of the run's calls."""
        return any(inside(noise_place(level), self.index(level), settings) for level in self.levels[:-1])


def _calls(levels: Sequence[float]) -> int:
    return max(len(levels) - 1, 1)
