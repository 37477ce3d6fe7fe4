"""What every command shares: an error for the user, lines on the terminal, and text made safe to show."""

from __future__ import annotations

import sys

from tome_ext.settings import short

__all__ = ["CommandError", "echo", "printable", "short", "tolerate_encodings", "warn"]


class CommandError(Exception):
    """Something the user can put right; its message is printed as one line and the exit status is 2."""


def printable(text: str) -> str:
    """``text`` with everything a terminal would act on (control characters, direction marks) written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def echo(text: str) -> None:
    """Print one line of result or progress, at once."""
    print(printable(text), flush=True)


def warn(text: str) -> None:
    """Print one line about something that was not as asked for."""
    print(f"warning: {printable(text)}", file=sys.stderr, flush=True)


def tolerate_encodings() -> None:
    """Let a terminal that lacks a character show a replacement, so that no print can fail."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
