"""Which words of a prompt belong together, and the clean prompt."""

from __future__ import annotations

from tome_ext.words.groups import Group, Ignored, Reading, Span, Term
from tome_ext.words.manual import GroupSyntaxError
from tome_ext.words.reading import PARSERS, read_prompt

__all__ = [
    "PARSERS",
    "Group",
    "GroupSyntaxError",
    "Ignored",
    "Reading",
    "Span",
    "Term",
    "read_prompt",
]
