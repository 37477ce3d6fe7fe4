"""Adjectives of one noun with "and" or a comma between them ("a big, brown bowl", "red, white and blue balls"), and
words of several nouns ("a red car and truck")."""

from __future__ import annotations

from tome_ext.prompts.builtin.items import Item
from tome_ext.prompts.builtin.links import Links
from tome_ext.prompts.builtin.sentence import Sentence
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab
from tome_ext.prompts.lexicon.ownership import can_share
from tome_ext.prompts.parsed import ParsedObject

_LONGEST = 12
# Adjectives that "in the …" makes a place: "in the dark, deep shadow".
_THE_DARK = frozenset({"dark", "open", "wild"})


def end_of_joint(sentence: Sentence, run: list[int], at: int, opened: int, joints: list[int], before: str) -> int:
    """The place after "and" or a comma (or both) that joins two adjectives of one noun, else 0.

    ``run``: the adjectives so far; ``joints``: what joins them. A comma divides tags, so it joins only after a
    determiner, and never after "and".
    """
    if (
        sentence.low(at) == "-"
        and opened >= 0
        and sentence.low(at + 1).endswith("ed")
        and sentence.leads_to_noun(at + 1)
    ):
        return at + 1  # "a long - sleeved shirt"
    end = at
    comma = sentence.kind(end) == "comma"
    if comma:
        end += 1
    conjunction = sentence.kind(end) == "and"
    if conjunction:
        end += 1
    if conjunction and sentence.fixed_name(end) and sentence.low(end) in vocab.HARD_ATTRIBUTES:
        return 0
    if end == at or not sentence.modifier(run[-1]) or sentence.kind(end) != "word":
        return 0
    last = sentence.low(run[-1])
    if len(run) > 1 and last in vocab.ALSO_THINGS and not comma:
        return 0
    listed = False
    if comma and before == "prep" and last in _THE_DARK:
        return 0
    info = lexicon.info(last)
    if comma and info.noun and info.noun >= info.adjective and last not in vocab.HARD_ATTRIBUTES:
        return 0
    if comma:
        listed = before in ("hard", "prep", "with", "hold", "and", "cop", "have") and _colours(sentence, run[0])
        sized = before == "with" and last in vocab.SIZES
        if any(sentence.kind(i) == "and" for i in joints) or not (opened >= 0 or listed or sized):
            return 0
    predicate = before == "cop" and opened < 0 and sentence.modifier(end) and sentence.kind(end + 1) != "word"
    if comma and predicate and not (conjunction or listed):
        return 0
    return end if predicate or sentence.leads_to_noun(end) else 0


def _colours(sentence: Sentence, at: int) -> bool:
    """A list of colours that ends with "and": "white, yellow and pink"."""
    ended = False
    for i in range(at, at + _LONGEST):
        low = sentence.low(i)
        if low in vocab.COLOURS or sentence.shade(i):
            if ended:
                return True
        elif sentence.kind(i) == "and":
            ended = True
        elif low != ",":
            return False
    return False


def listed_after(links: Links, at: int) -> int:
    """The place after "hair, blonde, long;" where semicolons divide and commas do not, else 0."""
    end = at + 1
    before = links.low(at - 1) if at else ";"
    while links.kind(end) == "comma" and links.kind(end + 1) == "adj" and before in (";", "\n"):
        end += 2
    closed = links.low(end) == ";" or (before == ";" and at > 0 and links.kind(end) == "hard")
    own = links.items[at].parsed
    if end == at + 1 or not closed or own is None:
        return 0
    for k in range(at + 1, end, 2):
        found = links.adjectives(k + 1)
        own.related += found.related if found else []
        own.dropped += links.span(k, k + 1)
    return end


def shared_noun(links: Links, at: int, found: ParsedObject) -> None:
    """ "three red and two blue balls": the noun is that of both."""
    first = links.adjectives(at - 2)
    if first is not None and links.kind(at - 1) == "and" and found.determined and found.related:
        counted = first.kept and links.words[first.kept[0]].low not in vocab.ARTICLES
        if counted and links.only_colours(at - 2):
            found.related = first.related + found.related


def portion(links: Links, at: int, found: ParsedObject) -> None:
    """ "a tiny piece of green sushi": what is tiny is the sushi."""
    thing = links.phrase(at + 2)
    if links.items[at].low in vocab.PORTIONS and links.low(at + 1) == "of" and thing is not None:
        thing.related = found.related + thing.related
        thing.dropped = found.dropped + thing.dropped
        found.related, found.dropped = [], []


def share_later(links: Links, owner: Item, first: int) -> None:
    """ "Tom and Jerry wearing red hats", "a cat and a dog are black": what comes after is of both."""
    own = owner.parsed
    if own is None or links.kind(first - 2) != "and" or links.items[first - 1] is not owner:
        return
    other = links.items[first - 3] if links.kind(first - 3) == "np" else None
    if other is None or other.parsed is None or other.role != owner.role or other.parsed.related:
        return
    if other.animate == owner.animate and other.bare == owner.bare and not lexicon.info(owner.low).plural:
        other.parsed.shared = [i for i in own.related if i > own.noun[-1]]


def share(links: Links, at: int, then: int) -> None:
    """ "a red car and truck": the second noun, bare, has the modifiers of the first, too."""
    first = links.items[at].parsed
    assert first is not None
    if then != at + 1 or not first.related or max(first.related) > first.noun[0] or links.kind(then) != "and":
        return
    second = links.phrase(then + 1)
    if second is None or links.low(then) == "or":
        return
    bare = not second.related and not second.determined and not links.items[then + 1].name
    ends = links.kind(then + 2) not in ("with", "hold", "rel", "dressed", "cop") and links.low(then + 2) != "in"
    sure = first.determined or lexicon.info(links.items[at].low).plural
    if bare and ends and sure and can_share(links.low(then + 1)):
        second.shared = list(first.related)
