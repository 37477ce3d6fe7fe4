"""What passes through the full-size UNets cost, as ``python -m tome_ext cost --write-docs`` counted it.

FLOPs and saved bytes of a pass over n latent pixels are c + a·n + b·n² (b: self-attention).
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any


@functools.cache
def counts() -> dict[str, Any]:
    """The counts in ``cost.json``, by model."""
    found: dict[str, Any] = json.loads(
        resources.files("tome_ext.embedded").joinpath("cost.json").read_text(encoding="utf-8")
    )
    return found


def at(coefficients: list[float], pixels: int) -> float:
    """A count for ``pixels`` latent pixels."""
    constant, linear, square = coefficients
    return constant + linear * pixels + square * pixels**2


def saved_bytes(model: str, height: int, width: int) -> float:
    """Bytes that a full pass of one row over a latent of this size saves for its backward pass, in half precision."""
    return at(counts()[model]["full"]["saved"], height * width)
