"""From a prompt to its reading."""

from __future__ import annotations

from tome_ext.words import builtin
from tome_ext.words.assemble import disjoint, group_of, ignored_of
from tome_ext.words.clean import clean_prompt
from tome_ext.words.groups import Group, Ignored, Reading, Span
from tome_ext.words.mention import Mention
from tome_ext.words.syntax import Mapped, plain_text
from tome_ext.words.tokens import Word

PARSERS = ("auto", "spacy", "builtin")


class GroupSyntaxError(ValueError):
    """A mistake in hand-written groups; ``position`` is the character it is at."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


def read_prompt(
    text: str, *, parser: str = "auto", manual: str = "", clean: str = "", syntax: str = "a1111"
) -> Reading:
    """Read a prompt."""
    plain, _ = plain_text(text, syntax)
    words, mentions = builtin.parse(plain.text)
    found = disjoint([m for m in mentions if not m.reason])
    left = [m for m in mentions if m.reason]
    groups = tuple(group_of(text, plain, words, m) for m in found)
    cuts = [plain.typed(words[i].start, words[i].end) for m in found for i in (*m.related, *m.dropped)]
    return Reading(text, "builtin", groups, clean or clean_prompt(text, cuts), (), tuple(ignored_of(text, plain, words, left)))
