"""Which words of a prompt belong together, and the clean prompt."""

from __future__ import annotations

from tome_ext.prompts.groups import Group, Ignored, Reading, Span, Term
from tome_ext.prompts.manual.grammar import GroupSyntaxError
from tome_ext.prompts.reading import PARSERS, read_prompt

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
