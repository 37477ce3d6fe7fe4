"""Numbers on the command line, checked where they are read: types for ``argparse``."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def whole(minimum: int, maximum: int, multiple: int = 1) -> Callable[[str], int]:
    """Reads a whole number from ``minimum`` to ``maximum``, a multiple of ``multiple``."""
    allowed = f"a whole number from {minimum} to {maximum}" + (f", a multiple of {multiple}" if multiple > 1 else "")

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise _refusal(text, allowed) from None
        if not minimum <= value <= maximum or value % multiple:
            raise _refusal(text, allowed)
        return value

    return read


def real(minimum: float, maximum: float) -> Callable[[str], float]:
    """Reads a number from ``minimum`` to ``maximum``."""
    allowed = f"a number from {minimum:g} to {maximum:g}"

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise _refusal(text, allowed) from None
        if not minimum <= value <= maximum:  # nor is NaN
            raise _refusal(text, allowed)
        return value

    return read


def _refusal(text: str, allowed: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"{text!r}: must be {allowed}")
