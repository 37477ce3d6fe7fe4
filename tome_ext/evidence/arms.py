"""What is compared: plain sampling, and the method with some of its parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from tome_ext.evidence.prompts import Prompt
from tome_ext.settings import Settings, preset

# Makes an image's conditioning [T, D] and pooled vector [P] (None where the model has none) of its own.
Context = Callable[[Any, Prompt], "tuple[Tensor, Tensor | None]"]


@dataclass(frozen=True)
class Arm:
    """One way to make an image: plain (no ``settings``), with the method, or from a ``context`` of its own."""

    name: str
    settings: Settings | None = None
    context: Context | None = None


_FAST = preset("fast")
_BALANCED = preset("balanced")

PLAIN = Arm("plain")
MERGE = Arm("merging alone", _FAST.replace(ets=False))
FAST = Arm("merging and ETS", _FAST)
BALANCED = Arm("balanced", _BALANCED)
BENCHMARK = (PLAIN, MERGE, FAST, BALANCED, Arm("paper", preset("paper")), Arm("reference", preset("reference")))


def merging_replaced(settings: Settings) -> Settings:
    """``settings`` with composite tokens that are the noun alone: the losses without merging."""
    return settings.replace(related_weight=0.0, members="zero")
