"""Noun phrases and small words: a prompt as a list of items.

A noun phrase is a determiner, modifiers and a noun of one or more words. English words are ambiguous
("a glass table", "the glass", "boats water the lawn"), so the pass goes from left to right and decides
each word by its dictionary counts, by what stands before it and by the next word.
"""

from __future__ import annotations

from tome_ext.prompts.builtin.adjective_lists import end_of_joint
from tome_ext.prompts.builtin.items import Item
from tome_ext.prompts.builtin.names import full_name, is_name, name_owners, stands_for, with_series
from tome_ext.prompts.builtin.sentence import Sentence
from tome_ext.prompts.builtin.verbs import ends_noun_phrase, opens_verb
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab
from tome_ext.prompts.parsed import ParsedObject

_LINKS = frozenset({"hold", "dressed"})


def find_items(sentence: Sentence) -> list[Item]:
    """The words of a prompt as items in order."""
    items: list[Item] = []
    at = 0
    while at < len(sentence.words):
        item = _Reader(sentence, at, items).read()
        items.append(item)
        at = item.end
    name_owners(items)
    return items


class _Reader:
    """Reads one item at a place."""

    def __init__(self, sentence: Sentence, at: int, items: list[Item]) -> None:
        self.sentence = sentence
        self.low, self.kind = sentence.low, sentence.kind
        self.at = at
        self.before = items[-1].kind if items else "hard"
        self.before_low = items[-1].low if items else ""
        self.conjoined = len(items) > 1 and self.before == "and" and items[-2].kind == "np"
        self.items = items

    def read(self) -> Item:
        at, kind = self.at, self.kind(self.at)
        if kind == "rel" and self.low(at) == "that" and self.kind(at + 1) == "word" and self.before != "np":
            kind = "det"
        if end := stands_for(self.sentence, at, self.before):
            return Item("np", at, end, "one", ParsedObject([end - 1], kept=list(range(at, end - 1))), name=True)
        if self.low(at) == "free" and self.low(at + 1) == "of":
            return Item("neg", at, at + 2, "free")
        if self.low(at) in vocab.SIDES and self.low(at + 1) == "of" and kind == "word":
            return Item("prep", at, at + 2, self.low(at))
        if self.low(at) in vocab.FORMATS:
            return Item("other", at, at + 1, self.low(at))
        if kind in ("det", "word"):
            return with_series(self.sentence, self.phrase())
        if kind == "mark":
            return Item("comma" if self.low(at) in ",()/-–—:" else "other", at, at + 1, self.low(at))
        return Item(kind, at, at + 1, self.low(at))

    def phrase(self) -> Item:
        """A noun phrase, else a bare adjective phrase, a verb or some other word."""
        start = at = self.at
        while self.kind(at) == "det" or (self.low(at) == "that" and at == start):
            at += 1
        kept = list(range(start, at))
        if end := full_name(self.sentence, at, bool(kept), self.before):
            noun = list(range(at, end))
            return Item("np", start, end, self.low(end - 1), ParsedObject(noun, kept=kept), name=True)
        if not kept and opens_verb(self.sentence, at, self.before, self.before_low):
            return self.verb(at)
        opened = start if kept else -1
        run, dropped = self.run(at, opened)
        head = None if opened < 0 and dropped and self.colours(run) else self.head(run, opened)
        if head is None:
            if run and all(self.sentence.modifier(i) for i in run):
                return Item("adj", start, run[-1] + 1, self.low(run[0]), ParsedObject([], run, dropped, kept))
            return Item("other", start, max(at, start + 1), self.low(start))
        noun, modifiers = self.split(run[: head + 1])
        end = noun[-1] + 1
        if self.low(end) == "'s" and self.kind(end + 1) == "word":
            return Item("other", start, end + 1, "'s")
        found = ParsedObject(noun, modifiers, [i for i in dropped if i < noun[-1]], kept)
        return Item(
            "np", start, end, self.head_name(noun), found, name=not kept and is_name(self.sentence, noun, self.before)
        )

    def colours(self, run: list[int]) -> bool:
        """ "teal and orange": colours of nothing."""
        return all(self.low(i) in vocab.TINTED for i in run)

    def head_name(self, noun: list[int]) -> str:
        """What the noun is looked up as."""
        if len(noun) > 1 and (name := lexicon.name_with_flags(*(self.low(i) for i in noun[-2:]))):
            return name
        return self.low(noun[-1])

    def verb(self, at: int) -> Item:
        """A verb with its particle; "dressed in" and the like are told apart."""
        low = self.low(at)
        if low in vocab.DRESSED and self.low(at + 1) in vocab.DRESSED_PREPOSITIONS:
            return Item("dressed", at, at + 2, low)
        end = at + 1
        if self.low(end) in vocab.PARTICLES and self.low(end) not in ("over",):
            end += 1
        return Item("verb", at, end, low)

    def run(self, at: int, opened: int) -> tuple[list[int], list[int]]:
        """Word numbers that may form a noun phrase, and the conjunctions and commas between its adjectives."""
        run: list[int] = []
        dropped: list[int] = []
        solid = False
        while True:
            if self.kind(at) != "word":
                joined = end_of_joint(self.sentence, run, at, opened, dropped, self.before) if run and not solid else 0
                if not joined:
                    return run, dropped
                dropped += range(at, joined)
                at = joined
                continue
            if run and self.low(at) in vocab.FORMATS:
                return run, dropped
            if solid and ends_noun_phrase(self.sentence, run, at, opened, self.conjoined):
                return run, dropped
            if (
                run
                and self.low(at) in vocab.TRAILING
                and self.kind(at + 1) != "word"
                and self.sentence.noun_capable(at - 1)
            ):
                return run, dropped
            if run and not solid and self.acts(run, at):
                return run, dropped
            run.append(at)
            if self.colour_worn(at, opened):
                return run, dropped
            sentence = self.sentence
            solid = solid or not sentence.modifier(at) or sentence.fixed_name(at) or self.subject(run, at)
            at += 1

    def acts(self, run: list[int], at: int) -> bool:
        """ "rose standing on a bridge": a participle that describes nothing, after what may be a name."""
        info, after = lexicon.info(self.low(at)), self.kind(at + 1)
        return self.low(run[-1]) in vocab.ALSO_THINGS and info.participle and after in ("prep", "with", "det")

    def colour_worn(self, at: int, opened: int) -> bool:
        """ "a woman in orange riding horses": the colour is a noun."""
        low, after = self.low(at), self.low(at + 1)
        worn = opened < 0 and self.before_low == "in" and at == self.at and low in vocab.COLOURS
        return worn and lexicon.info(after).participle and after.endswith("ing")

    def subject(self, run: list[int], at: int) -> bool:
        """Whether a material is the thing itself, before a verb: "a metallic straw rests on"."""
        if len(run) < 2 or not self.sentence.noun_capable(at) or self.low(run[-2]) not in vocab.HARD_ATTRIBUTES:
            return False
        after = lexicon.info(self.low(at + 1))
        return 0 < after.noun <= after.verb and self.kind(at + 2) in ("prep", "with", "det", "other", "cop")

    def head(self, run: list[int], opened: int) -> int | None:
        """The place in ``run`` of the noun that ends the phrase."""
        if run and opened < 0 and self.somebody(run):
            return len(run) - 1  # "ruby wearing a hat": whatever it may be else, here it is somebody
        for k in range(len(run) - 1, -1, -1):
            low = self.low(run[k])
            info = lexicon.info(low)
            if low in vocab.HARD_ATTRIBUTES:
                thing = low in vocab.ALSO_THINGS or (low in vocab.MATERIALS and info.noun and opened >= 0 and k)
                if thing and (opened >= 0 or k) and self.before != "cop":
                    return k
                continue
            if info.noun and not (info.adjective > info.noun + 1 or info.adverb > info.noun + 1):
                return k
            if info.noun and k and opened >= 0:
                return k
        return None

    def somebody(self, run: list[int]) -> bool:
        """Whether an attribute without a noun stands where somebody must: before "wearing", or as a subject."""
        after = self.kind(run[-1] + 1)
        if self.before == "cop" or self.before_low == "in":
            return False
        if after in _LINKS and self.before in ("hard", "comma", "and", "prep"):
            return True
        acts = after in ("cop", "with", "prep") or (after == "comma" and self.kind(run[-1] + 2) == "hold")
        acts = acts or lexicon.info(self.low(run[-1] + 1)).participle
        return acts and len(run) == 1 and self.low(run[0]) in vocab.ALSO_THINGS

    def split(self, run: list[int]) -> tuple[list[int], list[int]]:
        """The noun (a maximal compound at the end) and the modifiers before it."""
        sentence, k = self.sentence, len(run) - 1
        while k > 0:
            named = sentence.fixed_name(run[k - 1]) or (k > 1 and sentence.fixed_name(run[k - 2]))
            compound = named or not sentence.modifier(run[k - 1])
            if not compound or run[k] != run[k - 1] + 1 or sentence.shade(run[k - 1]):
                break
            k -= 1
        return run[k:], run[:k]
