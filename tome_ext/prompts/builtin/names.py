"""Names of persons and places, their series in brackets, and words that stand for an object named before."""

from __future__ import annotations

from tome_ext.prompts.builtin.items import Item
from tome_ext.prompts.builtin.sentence import Sentence
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab
from tome_ext.prompts.lexicon.ownership import worn_or_grown

# How unknown words end that name styles and techniques.
_NO_NAMES = ("ing", "ings", "ics", "ism", "ness", "ity", "core", "punk", "wave", "tion", "ography", "graphy", "ization")
_LONGEST_SERIES = 8
_INSIDE_NAMES = frozenset({"of", "de", "la", "van", "von", "del", "da", "al", "bin"})
_LINKS = frozenset({"with", "hold", "have", "cop"})


def full_name(sentence: Sentence, at: int, determined: bool, before: str) -> int:
    """The end of a name of two or more words with capitals that opens at ``at``, 0 where there is none."""
    end = at
    while sentence.capital(end) and sentence.kind(end) == "word":
        end += 1
        joined = end + 1 + (sentence.low(end + 1) == "the")
        if sentence.low(end) in _INSIDE_NAMES and sentence.capital(joined) and sentence.unknown(joined):
            end = joined
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


def is_name(sentence: Sentence, noun: list[int], before: str) -> bool:
    """Whether a bare noun names somebody, as far as its own words tell: unknown, or with capitals inside a sentence."""
    low = sentence.low(noun[-1])
    if low.endswith(_NO_NAMES) and not sentence.capital(noun[-1]):
        return False
    if sentence.unknown(noun[-1]) or (not lexicon.visible(low) and any(sentence.unknown(i) for i in noun)):
        return True
    return all(sentence.capital(i) for i in noun) and (len(noun) > 1 or before not in ("hard", "comma"))


def name_owners(items: list[Item]) -> None:
    """Bare nouns that wear or hold something are names, whatever else their words mean: "peach wearing a dress"."""
    for at, item in enumerate(items):
        if item.kind == "np" and item.bare and not item.animate and _may_be_a_name(item):
            before = items[at - 1] if at else None
            free = before is None or before.kind in ("hard", "comma", "and", "prep")
            if free and _owns(items, at + 1, before is None or before.kind != "comma"):
                item.name = True


def _may_be_a_name(item: Item) -> bool:
    """Not a thing that is worn, a part, a place, many things, or a word about the picture."""
    low = item.low
    if lexicon.wearable(low) or lexicon.part(low) or lexicon.place(low) or lexicon.info(low).plural:
        return False
    own = item.parsed
    described = own is not None and bool(own.related)
    return not described and low not in vocab.NOT_NAMES


def _owns(items: list[Item], at: int, acts: bool) -> bool:
    """Whether what follows is worn or held; with ``acts``, or done."""
    while at < len(items) and items[at].kind == "cop":
        at += 1
    if at >= len(items):
        return False
    after = items[at + 1] if at + 1 < len(items) else None
    if items[at].kind == "hold" or (items[at].kind == "dressed" and items[at].low in vocab.CLOTHED):
        return True
    if after is not None and after.kind == "np" and (items[at].kind == "with" or items[at].low == "in"):
        return worn_or_grown(after.low) and not (items[at].low == "in" and lexicon.body_part(after.low))
    return acts and items[at].kind == "verb" and items[at].low.endswith("ing")


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
