"""What goes with a word that hand-written groups take out of a prompt: in "a dog with a red hat", "with a red"."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from tome_ext.prompts.builtin.noun_phrases import find_items
from tome_ext.prompts.builtin.sentence import Sentence
from tome_ext.prompts.lexicon import vocabulary as vocab
from tome_ext.prompts.words import Word

SMALL = (
    vocab.DETERMINERS
    | vocab.CONJUNCTIONS
    | vocab.COPULAS
    | vocab.RELATIVES
    | vocab.WITH
    | vocab.HAVE
    | vocab.HOLDING
    | frozenset(("in", "of", "on", "to"))
)
_OPENS = vocab.HOLDING | vocab.WITH
_LINKS = frozenset(("with", "hold", "dressed", "have", "prep", "verb"))
_SHARED = frozenset(("with", "hold", "dressed"))
_BEFORE_LINKS = frozenset(("cop", "rel"))
_LONGEST_GAP = 4


@dataclass(frozen=True)
class Gone:
    """What goes with a word. ``joints`` ("and") are not part of what the group says; ``links`` are, but stay:
    in "with a hat and a scarf" both are tied to the noun by the same "with"."""

    term: int
    words: list[int]
    joints: list[int]
    links: list[int]


class Surroundings:
    """The phrases of one prompt, to ask what a word takes along."""

    def __init__(self, words: list[Word]) -> None:
        self.words = words
        self.items = find_items(Sentence(words))
        self.item_of = [k for k, item in enumerate(self.items) for _ in range(item.start, item.end)]

    def article(self, noun: list[int]) -> list[int]:
        """The determiners of a noun's phrase."""
        item = self.items[self.item_of[noun[0]]]
        if item.parsed is not None and noun[-1] < item.end:
            return [i for i in item.parsed.kept if i < noun[0]]
        return self._determiner(noun[0])

    def taken_along(self, noun: list[int], terms: set[int]) -> list[Gone]:
        """For each word of ``terms``, the words that lose their sense without it."""
        out: list[Gone] = []
        members = sorted({*noun, *terms})
        for before, at in pairwise([-1, *members]):
            if at in noun:
                continue
            item = self.items[self.item_of[at]]
            if item.kind != "np" or item.parsed is None:
                out.append(Gone(at, self._gap(before, at, noun), [], []))
            elif item.parsed.noun[-1] == at and not set(noun) & set(range(item.start, item.end)):
                out.append(self._phrase(self.item_of[at], noun, terms))
            elif before >= item.start and all(self._small(i) for i in range(before + 1, at)):
                out.append(Gone(at, list(range(before + 1, at)), [], []))
        return out

    def _phrase(self, at: int, noun: list[int], terms: set[int]) -> Gone:
        """A whole noun phrase, with the words that tie it to its surroundings."""
        item = self.items[at]
        end = at + 1
        if self._kind(end) == "rel" and self._kind(end + 1) == "cop" and self._kind(end + 2) == "adj":
            end += 3
        start, joints, links = self._opening(at), (at, at), (at, at)
        tied = self._tied_to(end, noun) if item.end <= noun[0] else 0
        if tied and (self._kind(end) != "and" or start == at):
            start, end = at, tied
        elif self._kind(start) in _LINKS | _BEFORE_LINKS and self._goes_on(end, terms):
            start, joints, links = at, (end, end + 1), (start, at)
        elif self._kind(at - 1) == "and" and self._kind(start - 2) in _SHARED and self._other(start - 1, terms):
            start, joints, links = at, (start, at), (start - 2, start - 1)
        last = item.parsed.noun[-1] if item.parsed else item.end - 1
        owner = [item.start - 1] if item.start - 2 == noun[-1] and self.words[item.start - 1].low == "'s" else []
        return Gone(last, [*owner, *self._span(start, end)], self._span(*joints), self._span(*links))

    def _span(self, start: int, end: int) -> list[int]:
        """The words of some items."""
        return list(range(self.items[start].start, self.items[end - 1].end)) if end > start else []

    def _opening(self, at: int) -> int:
        """The first item of "that is wearing", "sitting next to", "and" or the like before a noun phrase."""
        start = at
        if self._kind(at - 1) == "and":
            return at - 1 - (self._kind(at - 2) == "comma")
        while self._kind(start - 1) in _LINKS:
            start -= 1
        while start < at and self._kind(start - 1) in _BEFORE_LINKS:
            start -= 1
        return start

    def _tied_to(self, at: int, noun: list[int]) -> int:
        """The place after "on", "and" or the like between a phrase and the noun's own, 0 where there is more."""
        end = at
        while self._kind(end) in _LINKS or self._kind(end) == "and":
            end += 1
        return end if end > at and end == self.item_of[noun[0]] else 0

    def _goes_on(self, at: int, terms: set[int]) -> bool:
        """ "with a hat and scarf": without the hat, there is still "with scarf"."""
        other = self.items[at + 1].parsed if self._kind(at) == "and" and self._other(at + 1, terms) else None
        return other is not None and not other.kept

    def _other(self, at: int, terms: set[int]) -> bool:
        """Whether a noun phrase that does not go stands here."""
        found = self.items[at].parsed if self._kind(at) == "np" else None
        return found is not None and found.noun[-1] not in terms

    def _gap(self, before: int, at: int, noun: list[int]) -> list[int]:
        """Small words between two words of a group, where they are no noun phrases ("that is" red)."""
        gap = list(range(before + 1, at))
        if before >= 0 and len(gap) <= _LONGEST_GAP and all(self._small(i) for i in gap):
            return gap
        determiner = self._determiner(at)
        link = at - len(determiner) - 1
        opened = link > before and self.words[link].low in _OPENS
        if at < noun[0] and not opened:
            return []
        return [*([link] if opened else []), *(i for i in determiner if i > before)]

    def _determiner(self, at: int) -> list[int]:
        return [at - 1] if at and self.words[at - 1].low in vocab.DETERMINERS else []

    def _small(self, at: int) -> bool:
        return self.words[at].low in SMALL or self.words[at].low == ","

    def _kind(self, at: int) -> str:
        return self.items[at].kind if 0 <= at < len(self.items) else "hard"
