"""Names of persons and places, their series in brackets, and words that stand for an object named before."""

from __future__ import annotations

from tome_ext.prompts.builtin.items import Item
from tome_ext.prompts.builtin.sentence import Sentence
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab

_LONGEST_SERIES = 8
_LINKS = frozenset({"with", "hold", "have", "cop"})


def full_name(sentence: Sentence, at: int, determined: bool, before: str) -> int:
    """The end of a name of two or more words with capitals that opens at ``at``, 0 where there is none."""
    end = at
    while sentence.capital(end) and sentence.kind(end) == "word":
        end += 1
    if end - at < 2:
        return 0
    first, last = sentence.low(at), sentence.low(end - 1)
    described = first in vocab.HARD_ATTRIBUTES or first in vocab.QUALITY_ATTRIBUTES
    known = lexicon.info(last).known and lexicon.visible(last)
    if described and (determined or before in ("hard", "comma")) and known:
        return 0
    if determined and known and not lexicon.info(first).known:
        return 0
    return end


def with_series(sentence: Sentence, item: Item) -> Item:
    r"""An np with the brackets after it: ``hatsune miku \(vocaloid\)``; the brackets stay with the name."""
    if item.kind != "np" or item.parsed is None or sentence.low(item.end) != "(":
        return item
    for end in range(item.end + 1, min(item.end + _LONGEST_SERIES, len(sentence.words))):
        if sentence.low(end) == ")":
            inside = range(item.end + 1, end)
            if not inside or all(sentence.modifier(i) for i in inside):
                return item
            item.parsed.kept += range(item.end, end + 1)
            item.end = end + 1
            return item
        if not (sentence.words[end].is_word or sentence.low(end) in ":'-.&"):
            return item
    return item


def stands_for(sentence: Sentence, at: int, before: str) -> int:
    """The end of "one" or "the other" before something that they wear, hold, have or are; else 0."""
    end = at + (sentence.low(at) == "the")
    if before == "np" or sentence.low(end) not in vocab.STANDS_FOR:
        return 0
    end += 1
    if sentence.low(end) in ("one", "ones"):
        end += 1
    follows = sentence.kind(end) in _LINKS or sentence.low(end) in vocab.DRESSED or sentence.low(end) == "in"
    return end if follows else 0
