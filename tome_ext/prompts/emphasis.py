"""The weights of emphasis of a typed prompt, and how a phrase is typed with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby

from tome_ext.prompts.host_syntax import text_fragments

_SPECIAL = {"a1111": re.compile(r"[\\()\[\]]"), "comfy": re.compile(r"[()]")}
_UNSPACED = (",", "'s")


@lru_cache(maxsize=4)
def weights(text: str, syntax: str = "a1111") -> Mapping[int, float]:
    """The weight of each typed character that is text and not syntax, by its place in ``text``."""
    fragments = text_fragments(text, syntax)
    return {place: fragment.weight for fragment in fragments for place in fragment.mapped.offsets}


def typed_phrase(words: Sequence[tuple[str, float]], syntax: str = "a1111") -> str:
    """``words``, each with its weight, in the prompt's language: ``(red:1.6) hat``; other brackets are escaped."""
    out = ""
    for weight, group in groupby(words, key=lambda word: round(word[1], 4)):
        run = [word for word, _ in group]
        text = joined([_SPECIAL[syntax].sub(r"\\\g<0>", word) for word in run])
        out = _append(out, text if weight == 1 else f"({text}:{weight:g})", run[0])
    return out


def joined(words: Sequence[str]) -> str:
    """``words`` with spaces between them, but for commas and possessives."""
    out = ""
    for word in words:
        out = _append(out, word, word)
    return out


def _append(before: str, piece: str, first: str) -> str:
    return before + piece if not before or first in _UNSPACED else f"{before} {piece}"
