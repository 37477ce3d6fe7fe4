"""The words of a prompt, with their places in the plain text."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Letters and digits of any script with their combining marks, hyphens and apostrophes inside; else one mark.
_PIECE = re.compile(
    r"(?P<word>#(?=[0-9a-fA-F]{6}\b)[^\W_]+|[^\W_](?:[^\W_]|[\u0300-\u036f]|[-'’](?=[^\W_]))*)|(?P<mark>[^\s_\u0300-\u036f]|\n)",
)
_HARD = frozenset(".;!?|\n。；！？")


@dataclass(frozen=True)
class Word:
    """A word or a mark; ``low`` is its lower-case form, ``start`` and ``end`` are places in the plain text."""

    low: str
    start: int
    end: int
    is_word: bool
    capital: bool = False

    @property
    def hard(self) -> bool:
        """A mark that ends a sentence."""
        return self.low in _HARD


def split_words(text: str) -> list[Word]:
    """Words and marks in order. A line break counts as a mark; so does the end of a sentence."""
    out = []
    for m in _PIECE.finditer(text):
        low = m.group().lower().replace("’", "'")
        is_word, capital = m.lastgroup == "word", m.group()[0].isupper()
        if is_word and low.endswith("'s") and len(low) > 2:
            out.append(Word(low[:-2], m.start(), m.end() - 2, True, capital))
            out.append(Word("'s", m.end() - 2, m.end(), True))
        else:
            out.append(Word(low, m.start(), m.end(), is_word, capital))
    return out
