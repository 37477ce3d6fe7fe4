"""The items of a prompt while words are given to objects: what both predicates and sub-objects need."""

from __future__ import annotations

from tome_ext.prompts.builtin.items import Item
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab
from tome_ext.prompts.parsed import ParsedObject
from tome_ext.prompts.words import Word


class Links:
    """Looks at the items of a prompt, and gives their words to an object."""

    def __init__(self, words: list[Word], items: list[Item]) -> None:
        self.words = words
        self.items = items

    def kind(self, at: int) -> str:
        """The kind of an item, "hard" outside the prompt."""
        return self.items[at].kind if 0 <= at < len(self.items) else "hard"

    def low(self, at: int) -> str:
        """The word of an item, "" outside the prompt."""
        return self.items[at].low if 0 <= at < len(self.items) else ""

    def span(self, start: int, end: int) -> list[int]:
        """Word numbers of the items ``start:end``."""
        return list(range(self.items[start].start, self.items[end - 1].end)) if end > start else []

    def phrase(self, at: int) -> ParsedObject | None:
        """The noun phrase at a place."""
        return self.items[at].parsed if self.kind(at) == "np" else None

    def adjectives(self, at: int) -> ParsedObject | None:
        """The adjectives at a place."""
        return self.items[at].parsed if self.kind(at) == "adj" else None

    def takes(self, owner: Item, first: int, link: int, at: int) -> int:
        """Give an object the adjectives at ``at`` with the word that links them; the place after."""
        own, found = owner.parsed, self.adjectives(at)
        assert own is not None
        assert found is not None
        own.dropped += self.span(first, link) + found.dropped
        own.related += self.span(link, at) + found.related
        return at + 1

    def only_colours(self, at: int) -> bool:
        """Whether the adjectives at a place are colours ("in pink", "wearing red and blue")."""
        found = self.adjectives(at)
        shades = vocab.SHADED
        return found is not None and all(self.words[i].low in shades for i in found.related)


def what(links: Links, at: int) -> str:
    """The noun of a thing; of "a pair of jeans", the jeans."""
    if links.low(at) in vocab.MEASURES and links.low(at + 1) == "of" and links.kind(at + 2) == "np":
        return links.low(at + 2)
    return links.low(at)


def predicate(links: Links, owner: Item, first: int, at: int) -> int:
    """ "is red", "that is black and white" from the item ``at``; the place after, ``first`` where nothing is said.

    Words from ``first`` on go with it.
    """
    end = at + 1
    while links.kind(end) in ("cop", "other") and links.low(end) in vocab.BEING:
        end += 1
    if links.low(end) == "in" and _property(links, end + 1):
        end += 1
    found = links.adjectives(end)
    own = owner.parsed
    assert own is not None
    if found is None and _property(links, end):
        thing = links.phrase(end)
        assert thing is not None
        own.related += thing.related + thing.noun
        own.dropped += links.span(first, end) + thing.dropped + thing.kept
        return end + 1
    if found is None or not any(_describes(links, i) for i in found.related):
        return first
    after = end + 1
    if links.kind(after) == "and" and _goes_on(links, after + 1):
        return first
    if links.kind(after) == "prep" and not any(links.words[i].low in vocab.HARD_ATTRIBUTES for i in found.related):
        return first  # "uninterested in the cookies": the adjective needs what follows
    own.related += found.related
    own.dropped += links.span(first, end) + found.dropped
    if links.low(after) == "in" and links.low(after + 1) in vocab.PROPERTIES and not _property(links, after + 1):
        own.dropped += links.span(after, after + 2)
        after += 2
    return after


def _goes_on(links: Links, at: int) -> bool:
    """ "is wet and slicked back": what comes after "and" needs the "is", too."""
    at += links.low(at) == "\n"
    first = links.words[links.items[at].start].low if at < len(links.items) else ""
    return first.endswith("ed") and (links.kind(at) == "verb" or links.low(at) in vocab.PARTICLES)


def _property(links: Links, at: int) -> bool:
    """ "brown color", "a round shape"."""
    found = links.phrase(at)
    return found is not None and links.low(at) in vocab.PROPERTIES and bool(found.related)


def _describes(links: Links, word: int) -> bool:
    low = links.words[word].low
    if low in vocab.QUALITY_ATTRIBUTES and low not in vocab.HARD_ATTRIBUTES:
        return False
    return low in vocab.HARD_ATTRIBUTES or lexicon.info(low).adjective > lexicon.info(low).verb
