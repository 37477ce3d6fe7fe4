"""The expected slowdown, in words for the user interface."""

from __future__ import annotations

from tome_ext.settings import Settings


def slowdown(settings: Settings) -> str | None:
    """How much longer sampling takes with these settings, None where it is not known."""
    return None
