"""Axes for the X/Y/Z plot, made from the declarations."""

from __future__ import annotations


def add_axes() -> None:
    """Add the axes to the plot, once."""
