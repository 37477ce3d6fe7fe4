"""Whether a clean prompt is still a text: nothing dangles where words went, and no bracket lost its other half."""

from __future__ import annotations

import re

from tome_ext.prompts.builtin.sentence import closed_class
from tome_ext.prompts.lexicon import vocabulary as vocab
from tome_ext.prompts.words import Word

_UNDERSCORE = re.compile(r"(?<![^\s,(\[])_(?=[^\W_])|(?<=[^\W_])_(?![^\s,)\]:])")
_LONE_ARTICLE = re.compile(r"(?<![\w'’-])(?:an?|the)\s*[)\]]", re.I)
_NO_NOUN = frozenset({"prep", "with", "hold", "rel", "cop", "verb", "have"})
_ENDS = frozenset({"end", "hard", "comma"})
# What has to come after a word of these kinds; else it dangles.
_NEEDS_MORE = frozenset({"verb", "prep", "with", "hold", "have", "rel", "cop", "and"})
_ARTICLES = vocab.ARTICLES | vocab.POSSESSIVES


def broken(text: str, clean: str, words: list[Word], cut: set[int]) -> str:
    """What is wrong with the ``clean`` prompt of ``text``, "" where it is whole.

    ``cut``: the numbers of the words that it does without.
    """
    if not cut:
        return ""
    if not re.search(r"\w", clean):
        return "nothing is left"
    if any(_open_ends(clean, *pair) != _open_ends(text, *pair) for pair in ("()", "[]")):
        return "a bracket lost its other half"
    if len(_UNDERSCORE.findall(clean)) > len(_UNDERSCORE.findall(text)):
        return "an underscore is left over"
    if len(_LONE_ARTICLE.findall(clean)) > len(_LONE_ARTICLE.findall(text)):
        return "an article is left without its noun"
    return _dangling(words, cut)


def _open_ends(text: str, opening: str, closing: str) -> tuple[int, int]:
    """How many more brackets open than close, in all and among the escaped ones."""
    return text.count(opening) - text.count(closing), text.count("\\" + opening) - text.count("\\" + closing)


def _dangling(words: list[Word], cut: set[int]) -> str:
    """The first word that lost what it needs after it."""
    before, opens, after_gap = -1, True, False
    for at in [*(k for k in range(len(words)) if k not in cut), len(words)]:
        then = closed_class(words[at]) if at < len(words) else "end"
        if before >= 0 and at > before + 1:
            kind, low = closed_class(words[before]), words[before].low
            particle = kind == "prep" and low in vocab.PARTICLES
            alone = (then in _ENDS and not particle) or (then == "and" and kind != "cop")
            article = low in _ARTICLES and (alone or then in _NO_NOUN)
            if article or (kind in _NEEDS_MORE and alone):
                return f"{low!r} is left without its words"
            if then == "and" and kind in _ENDS:
                return f"{words[at].low!r} is left without its words"
            if opens and alone and low in vocab.PRONOUNS:
                return f"{low!r} is left alone"
        if after_gap and then in ("cop", "have", "rel"):
            return f"{words[before].low!r} is left without its words"
        opens = before < 0 or closed_class(words[before]) in _ENDS
        after_gap = then == "and" and at > before + 1 >= 1
        before = at
    return ""
