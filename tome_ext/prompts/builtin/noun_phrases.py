"""Noun phrases and small words: the first of the built-in parser's two passes.

A noun phrase is a determiner, modifiers and a noun of one or more words. English words are ambiguous
("a glass table", "the glass", "boats water the lawn"), so the pass goes from left to right and decides
each word by its dictionary counts, by what stands before it and by the next word.
"""

from __future__ import annotations

from dataclasses import dataclass

from tome_ext.prompts.builtin.word_classes import kind_of
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab
from tome_ext.prompts.parsed import Mention
from tome_ext.prompts.words import Word


@dataclass
class Item:
    """A piece of a sentence: ``kind`` is np, adj, verb, prep, with, hold, dressed, have, rel, cop, and, comma, hard
    or other; ``start:end`` are word numbers."""

    kind: str
    start: int
    end: int
    low: str = ""
    mention: Mention | None = None


def chunk(words: list[Word]) -> list[Item]:
    """The words of a prompt as items in order."""
    items: list[Item] = []
    at = 0
    while at < len(words):
        item = _Reader(words, at, items).read()
        items.append(item)
        at = item.end
    return items


_AFTER_VERB = frozenset({"prep", "with", "det", "other", "cop"})


class _Reader:
    """Reads one item at a place; holds nothing beyond that."""

    def __init__(self, words: list[Word], at: int, items: list[Item]) -> None:
        self.words = words
        self.at = at
        self.before = items[-1].kind if items else "hard"
        self.before_low = items[-1].low if items else ""
        self.conjoined = len(items) > 1 and self.before == "and" and items[-2].kind == "np"

    def low(self, at: int) -> str:
        return self.words[at].low if at < len(self.words) else ""

    def kind(self, at: int) -> str:
        return kind_of(self.words, at)

    def read(self) -> Item:
        at, kind = self.at, self.kind(self.at)
        if kind == "rel" and self.low(at) == "that" and self._starts_phrase(at + 1) and self.before != "np":
            kind = "det"
        if kind in ("det", "word"):
            return self._phrase()
        if kind == "mark":
            return Item("comma" if self.low(at) in ",()/-–—:" else "other", at, at + 1, self.low(at))
        return Item(kind, at, at + 1, self.low(at))

    def _starts_phrase(self, at: int) -> bool:
        return self.kind(at) == "word"

    def _phrase(self) -> Item:
        """A noun phrase, else a bare adjective phrase, a verb or some other word."""
        start = at = self.at
        while self.kind(at) == "det" or (self.low(at) == "that" and at == start):
            at += 1
        kept = list(range(start, at))
        if not kept and self._verb_first(at):
            return self._verb(at)
        run, dropped = self._run(at, bool(kept))
        head = self._head(run, bool(kept))
        if head is None:
            if run and all(self._modifier(i) for i in run):
                return Item("adj", start, run[-1] + 1, self.low(run[0]), Mention([], run, dropped, kept))
            return Item("other", start, max(at, start + 1), self.low(start))
        noun, mods = self._split_run(run[: head + 1])
        used = [i for i in dropped if i < noun[-1]]
        end = noun[-1] + 1
        if self.low(end) == "'s" and self.kind(end + 1) == "word":
            return Item("other", start, end + 1, "'s")
        return Item("np", start, end, self.low(noun[-1]), Mention(noun, mods, used, kept))

    def _verb_first(self, at: int) -> bool:
        """Whether a word that opens a phrase without a determiner is a verb ("sitting", "rests")."""
        low, info = self.low(at), lexicon.info(self.low(at))
        if low in vocab.HARD_ATTRIBUTES or not info.verb:
            return False
        after = self.kind(at + 1)
        if low.endswith("ing") and info.participle:
            if info.noun > info.verb:
                return False
            return not (info.adjective and after == "word") or after in _AFTER_VERB
        if low.endswith("ed") or not info.noun:
            return not (info.adjective and after == "word" and self.before != "np")
        if self.before in ("np", "rel") or self.before_low == "'s":
            return info.verb >= info.noun
        return False

    def _verb(self, at: int) -> Item:
        """A verb with its particle; "dressed in" and the like are told apart."""
        low = self.low(at)
        if low in vocab.DRESSED and self.low(at + 1) in vocab.DRESSED_PREPOSITIONS:
            return Item("dressed", at, at + 2, low)
        end = at + 1
        if self.low(end) in vocab.PARTICLES and self.low(end) not in ("over",):
            end += 1
        return Item("verb", at, end, low)

    def _run(self, at: int, opened: bool) -> tuple[list[int], list[int]]:
        """Word numbers that may form a noun phrase, and the conjunctions and commas between its adjectives."""
        run: list[int] = []
        dropped: list[int] = []
        solid = False
        while True:
            if self.kind(at) != "word":
                joined = self._joiner(run, at, opened) if run and not solid else 0
                if not joined:
                    return run, dropped
                dropped += range(at, joined)
                at = joined
                continue
            if solid and self._ends_after_noun(run, at, opened):
                return run, dropped
            run.append(at)
            if self._colour_worn(at, opened):
                return run, dropped
            solid = solid or not self._modifier(at) or self._fixed_name(at) or self._subject(run, at)
            at += 1

    def _colour_worn(self, at: int, opened: bool) -> bool:
        """ "a woman in orange riding horses": the colour is a noun."""
        low, after = self.low(at), self.low(at + 1)
        worn = not opened and self.before_low == "in" and at == self.at and low in vocab.COLOURS
        return worn and lexicon.info(after).participle and after.endswith("ing")

    def _fixed_name(self, at: int) -> bool:
        low = self.low(at)
        nominal = low not in vocab.HARD_ATTRIBUTES or low in vocab.NAMES_THINGS
        after = self.low(at + 1)
        named = after not in vocab.HARD_ATTRIBUTES or after in vocab.ALSO_THINGS
        return nominal and named and lexicon.is_phrase(low, after)

    def _modifier(self, at: int) -> bool:
        """Whether a word describes a following noun rather than naming a thing."""
        low, info = self.low(at), lexicon.info(self.low(at))
        if low in vocab.HARD_ATTRIBUTES or self._intensifies(at):
            return True
        if low in vocab.QUALITY_ATTRIBUTES and info.noun <= 4:
            return True
        after = lexicon.info(self.low(at + 1))
        if info.noun and low.endswith("ing") and not after.noun and after.verb > after.adjective:
            return False
        if info.attribute or info.adverb > info.noun or (low.endswith("ly") and not info.noun):
            return True
        return info.participle and info.verb > info.noun

    def _subject(self, run: list[int], at: int) -> bool:
        """Whether a material is the thing itself, before a verb: "a metallic straw rests on"."""
        if len(run) < 2 or not self._noun_capable(at) or self.low(run[-2]) not in vocab.HARD_ATTRIBUTES:
            return False
        after = lexicon.info(self.low(at + 1))
        return 0 < after.noun <= after.verb and self.kind(at + 2) in _AFTER_VERB

    def _intensifies(self, at: int) -> bool:
        """ "light" in "light blue"."""
        return self.low(at) in vocab.INTENSIFIERS and self.low(at + 1) in vocab.COLOURS

    def _joiner(self, run: list[int], at: int, opened: bool) -> int:
        """The place after "and" or a comma (or both) that joins two adjectives of one noun, else 0."""
        end = at
        comma = self.kind(end) == "comma" and self.low(end) == ","
        if comma:
            end += 1
        if self.kind(end) == "and":
            end += 1
        if end == at or not self._modifier(run[-1]) or self.kind(end) != "word":
            return 0
        last = self.low(run[-1])
        if len(run) > 1 and last in vocab.ALSO_THINGS and not comma:
            return 0
        if comma and not (opened or self.before in ("with", "prep", "hold", "dressed", "have", "cop")):
            return 0
        predicate = self.before == "cop" and self._modifier(end) and self.kind(end + 1) != "word"
        return end if predicate or self._leads_to_noun(end) else 0

    def _leads_to_noun(self, at: int) -> bool:
        """Adjectives, joined or not, and then a noun, with no determiner between."""
        if not self._modifier(at):
            return False
        for i in range(at, min(at + 12, len(self.words))):
            kind = self.kind(i)
            if kind == "word" and not self._modifier(i):
                return lexicon.info(self.low(i)).noun > 0
            if kind not in ("word", "and") and self.low(i) != ",":
                return kind != "det" and self._noun_capable(i - 1) and i - at > 1
        return False

    def _noun_capable(self, at: int) -> bool:
        low = self.low(at)
        if low in vocab.HARD_ATTRIBUTES and low not in vocab.ALSO_THINGS:
            return False
        return lexicon.info(low).noun > 0

    def _ends_after_noun(self, run: list[int], at: int, opened: bool) -> bool:
        """Whether the noun phrase is over before this word (a verb, or the start of another phrase)."""
        low, info = self.low(at), lexicon.info(self.low(at))
        previous = self.low(run[-1])
        if lexicon.is_phrase(previous, low):
            return False
        if low.endswith("ing") and info.participle:
            return info.verb >= info.noun
        if low in vocab.COLOURS and low not in ("rose", "gold"):
            return True
        if low.endswith("ed") and info.participle and not info.noun:
            singular = not lexicon.info(previous).plural
            return not (opened and singular and self._noun_capable(at + 1) and self.kind(at + 1) == "word")
        if not self._noun_capable(at):
            return True
        return bool(info.verb) and self._finite(run, at, opened)

    def _finite(self, run: list[int], at: int, opened: bool) -> bool:
        """Whether a word after a noun that may be a verb is one ("the chair creaks", "the lamps light the room")."""
        info, after = lexicon.info(self.low(at)), self.kind(at + 1)
        subject_plural = lexicon.info(self.low(run[-1])).plural or self.conjoined
        first = self.low(self.at) if opened else ""
        if after == "det" or (after == "other" and (opened or self.conjoined)):
            return True
        goes_on = after not in ("end", "hard", "comma", "and")
        if self.conjoined and goes_on and first not in ("a", "an") and not info.third and info.verb > info.noun + 2:
            return True
        if info.third:
            if subject_plural:
                return info.verb > info.noun
            if self.low(at + 1) in ("as", "while", "when") or self.low(at + 1).endswith("ly"):
                return True
            return opened and (info.verb > info.noun or (first in vocab.SINGULAR and after in _AFTER_VERB))
        if subject_plural and (self.low(at + 1) in vocab.PARTICLES or after in _AFTER_VERB):
            return info.verb > info.noun or (self.conjoined and info.verb >= info.noun)
        return False

    def _head(self, run: list[int], opened: bool) -> int | None:
        """The place in ``run`` of the noun that ends the phrase."""
        for k in range(len(run) - 1, -1, -1):
            low = self.low(run[k])
            if low in vocab.HARD_ATTRIBUTES:
                thing = low in vocab.ALSO_THINGS or (low in vocab.MATERIALS and lexicon.info(low).noun and opened and k)
                if thing and (opened or k) and self.before != "cop":
                    return k
                continue
            info = lexicon.info(low)
            if info.noun and not (info.adjective > info.noun + 1 or info.adverb > info.noun + 1):
                return k
            if info.noun and k and opened:
                return k
        return None

    def _split_run(self, run: list[int]) -> tuple[list[int], list[int]]:
        """The noun (a maximal compound at the end) and the modifiers before it."""
        k = len(run) - 1
        while k > 0:
            named = self._fixed_name(run[k - 1]) or (k > 1 and self._fixed_name(run[k - 2]))
            compound = named or not self._modifier(run[k - 1])
            if not compound or run[k] != run[k - 1] + 1 or self._intensifies(run[k - 1]):
                break
            k -= 1
        return run[k:], run[:k]
