"""What belongs to which noun phrase: the second pass of the built-in parser.

From left to right, each noun phrase takes what follows it directly and surely: "that is red", "with
glasses", "wearing a red hat and a scarf", "in a blue dress". Everything else stays where it is: a spatial
word or a verb between two objects never makes one a part of the other.
"""

from __future__ import annotations

from tome_ext.prompts.builtin.noun_phrases import Item
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab
from tome_ext.prompts.lexicon.ownership import belongs, can_share, surely_continues
from tome_ext.prompts.parsed import Mention
from tome_ext.prompts.words import Word

# A joint and what may follow it when a noun phrase goes on: "and holding", ", wearing", "and with".
_GOES_ON = {("and", "hold"), ("and", "dressed"), ("and", "with"), ("comma", "hold"), ("comma", "dressed")}


def attach(words: list[Word], items: list[Item]) -> list[Mention]:
    """The objects of a prompt, each with its sub-objects."""
    return _Attacher(words, items).run()


class _Attacher:
    def __init__(self, words: list[Word], items: list[Item]) -> None:
        self.words = words
        self.items = items
        self.found: list[Mention] = []
        self.heads: list[str] = []
        self.taken: set[str] = set()  # the verbs that have a subject ("wearing")

    def kind(self, at: int) -> str:
        return self.items[at].kind if at < len(self.items) else "hard"

    def run(self) -> list[Mention]:
        at = 0
        while at < len(self.items):
            item = self.items[at]
            if item.kind == "np" and item.mention is not None:
                self._add(item)
                at = self._share(at, self._tail(item.mention, item.low, at + 1))
            elif item.kind in ("hold", "dressed") and self.found:
                at = self._late(at)
            else:
                at += 1
        return self.found

    def _add(self, item: Item) -> None:
        assert item.mention is not None
        self.found.append(item.mention)
        self.heads.append(item.low)

    def _late(self, at: int) -> int:
        """A participle away from its noun ("a cat on a sofa wearing a hat", "1girl, wearing a hat")."""
        here = self._clause_start(at)
        candidates = [k for k, m in enumerate(self.found) if lexicon.animate(self.heads[k]) and m.noun[0] >= here]
        if len(candidates) != 1:
            return at + 1
        target = candidates[0]
        return max(at + 1, self._tail(self.found[target], self.heads[target], at))

    def _clause_start(self, at: int) -> int:
        """The first word of the sentence that an item stands in."""
        for k in range(at - 1, -1, -1):
            if self.items[k].kind == "hard":
                return self.items[k].end
        return 0

    def _tail(self, subject: Mention, head: str, at: int) -> int:
        """Take in what follows a noun phrase, as far as it surely belongs to it; the place after it."""
        while True:
            then = self._one(subject, head, at)
            if then == at and (self.kind(at), self.kind(at + 1)) in _GOES_ON:
                further = self._one(subject, head, at + 1)
                if further > at + 1:
                    subject.dropped += self._span(at, at + 1)
                    then = further
            if then == at:
                return at
            at = then

    def _span(self, start: int, end: int) -> list[int]:
        """Word numbers of the items ``start:end``."""
        return list(range(self.items[start].start, self.items[end - 1].end)) if end > start else []

    def _one(self, subject: Mention, head: str, at: int) -> int:
        """One attribute or sub-object phrase at ``at``; the place after it, or ``at`` when there is none."""
        first = at
        if self.kind(at) == "comma" and self.kind(at + 1) == "rel":
            at += 1
        relative = self.kind(at) == "rel"
        if relative:
            at += 1
        while self.kind(at) == "cop" and self.kind(at + 1) in ("cop", "hold", "dressed"):
            at += 1
        kind = self.kind(at)
        if kind == "cop":
            done = self._copula(subject, first, at)
        elif kind == "have" and (relative or lexicon.animate(head)):
            done = self._objects(subject, head, first, at, at + 1, "with")
        elif kind == "hold" and self._holds(head, relative, at):
            done = self._objects(subject, head, first, at, at + 1, "hold")
        elif kind == "dressed" and not relative:
            done = self._objects(subject, head, first, at, at + 1, "dressed")
        elif kind == "with" and not relative:
            done = self._objects(subject, head, first, at, at + 1, "with")
        elif kind == "prep" and self.items[at].low == "in" and not relative:
            done = self._dress(subject, head, at)
        elif (
            kind == "verb"
            and self.items[at].low in ("painted", "colored", "coloured", "dyed")
            and self.kind(at + 1) == "adj"
        ):
            done = self._adjectives(subject, first, at, at + 1)
        else:
            done = first
        return done

    def _holds(self, head: str, relative: bool, at: int) -> bool:
        """A person or an animal; a thing where nobody else is there to wear it ("a vase wearing a hat"), or beside
        them ("a dog and a vase holding flowers", "a cat wearing a hat and a vase wearing a scarf")."""
        if relative or lexicon.animate(head):
            return True
        verb, own = self.items[at], self.items[at - 1]
        if not verb.low.endswith("ing") or not any(lexicon.animate(h) for h in self.heads):
            return verb.low.endswith("ing")
        joint = at - 2
        while self.kind(joint) in ("and", "comma"):
            joint -= 1
        if own.mention is None or not own.mention.kept or joint == at - 2:
            return False
        if _stem(verb) in self.taken:
            return True
        thing = not (lexicon.wearable(head) or lexicon.part(head) or lexicon.place(head))
        return thing and self.kind(joint) == "np" and lexicon.animate(self.items[joint].low)

    def _adjectives(self, subject: Mention, first: int, verb: int, at: int) -> int:
        adj = self.items[at].mention
        assert adj is not None
        subject.dropped += self._span(first, verb) + adj.dropped
        subject.related += self._span(verb, at) + adj.related
        return at + 1

    def _copula(self, subject: Mention, first: int, at: int) -> int:
        """ "is red", "that is black and white"; "is" with anything else is a verb."""
        end = at + 1
        while self.kind(end) == "cop":
            end += 1
        adj = self.items[end].mention if end < len(self.items) and self.kind(end) == "adj" else None
        if adj is None or not any(self._describes(i) for i in adj.related):
            return first
        subject.related += adj.related
        subject.dropped += self._span(first, end) + adj.dropped
        return end + 1

    def _describes(self, word: int) -> bool:
        low = self.words[word].low
        if low in vocab.QUALITY_ATTRIBUTES and low not in vocab.HARD_ATTRIBUTES:
            return False
        return low in vocab.HARD_ATTRIBUTES or lexicon.info(low).adjective > lexicon.info(low).verb

    def _dress(self, subject: Mention, head: str, at: int) -> int:
        """ "in a blue dress", "in pink": for people, animals and what is treated like them."""
        if not (lexicon.animate(head) or not lexicon.info(head).known):
            return at
        after = self.items[at + 1] if at + 1 < len(self.items) else None
        if after is None or after.mention is None:
            return at
        if after.kind == "adj" and all(
            self.words[i].low in vocab.COLOURS | vocab.INTENSIFIERS for i in after.mention.related
        ):
            subject.related += [self.items[at].start, *after.mention.related]
            subject.dropped += after.mention.dropped
            return at + 2
        if after.kind == "np" and lexicon.wearable(after.low):
            return self._objects(subject, head, at, at, at + 1, "dressed")
        return at

    def _objects(self, subject: Mention, head: str, first: int, link: int, at: int, how: str) -> int:
        """A list of sub-objects after a linking word; the place after it, or ``first`` when the first is none."""
        item = self.items[at] if at < len(self.items) else None
        if how == "dressed" and self.kind(at) == "adj" and self.items[link].kind == "dressed":
            return self._adjectives(subject, first, link, at)
        if item is None or item.kind != "np" or item.mention is None or self._placed(at + 1):
            return first
        if how == "with" and any(self.words[i].low in vocab.POSSESSIVES for i in item.mention.kept):
            how = "own"
        if not belongs(head, item.low, how):
            return first
        subject.dropped += self._span(first, link)
        subject.related += self._span(link, link + 1)
        self.taken.add(_stem(self.items[link]))
        last = item
        subject.absorb(item.mention)
        at += 1
        while True:
            at = self._nested(subject, at, last.low)
            end = at
            while self.kind(end) in ("and", "comma") and end - at < 2:
                end += 1
            after = self.items[end] if end > at and end < len(self.items) else None
            if after is None or after.mention is None or not self._continues(head, last, after, end, how):
                return at
            if self._has_its_own(head, self.items[link], last, end):
                return at
            subject.dropped += self._span(at, end)
            subject.absorb(after.mention)
            last, at = after, end + 1

    def _placed(self, at: int) -> bool:
        """ "on it", "behind it": what is there is no part of it."""
        return self.kind(at) == "prep" and at + 1 < len(self.items) and self.items[at + 1].low in ("it", "them")

    def _nested(self, subject: Mention, at: int, low: str) -> int:
        """Attributes of the sub-object itself: "a hat that is red", "a hat with a feather", "a cup of coffee"."""
        while True:
            then = at
            if self.kind(at) == "rel" and self.kind(at + 1) == "cop":
                then = self._copula(subject, at, at + 1)
            elif self.kind(at) == "with" and not lexicon.animate(low):
                then = self._objects(subject, low, at, at, at + 1, "with")
            elif self.kind(at) == "prep" and self.items[at].low == "of" and self.kind(at + 1) == "np":
                inner = self.items[at + 1]
                if inner.mention is not None and not lexicon.animate(inner.low):
                    subject.related += self._span(at, at + 1)
                    subject.absorb(inner.mention)
                    then = at + 2
            if then == at:
                return at
            at = then

    def _continues(self, head: str, last: Item, after: Item, at: int, how: str) -> bool:
        """Whether "and X" goes on with the sub-objects: surely so for clothes and parts, or without an article."""
        low = after.low
        if after.kind != "np" or after.mention is None or not belongs(head, low, how):
            return False
        separated = any(self.items[k].kind == "comma" for k in range(at - 2, at) if k >= 0)
        if separated and not after.mention.kept and self.items[at - 1].kind != "and":
            return False
        if surely_continues(last.low, low):
            return True
        if self.kind(at + 1) in ("with", "hold", "dressed", "have") or (
            self.kind(at + 1) in ("rel", "cop") and not lexicon.wearable(low)
        ):
            return False
        return not after.mention.kept and self.items[at - 1].kind == "and"

    def _has_its_own(self, head: str, link: Item, last: Item, at: int) -> bool:
        """Whether what follows "and" has sub-objects of its own ("a moon wearing boots and a heart wearing a hat").

        In "a man with a hat and a coat holding a sword" the man holds it: the verb is another one.
        """
        then = at + 1
        while self.kind(then) in ("rel", "cop"):
            then += 1
        if self.kind(then) in ("hold", "dressed"):
            return not lexicon.animate(head) or _stem(self.items[then]) == _stem(link)
        if self.kind(then) != "with" or link.kind != "with" or lexicon.animate(head):
            return False
        worn = self.items[then + 1].low if self.kind(then + 1) == "np" else ""
        return bool(worn) and lexicon.wearable(last.low) and lexicon.wearable(worn)

    def _share(self, at: int, then: int) -> int:
        """ "a red car and truck": the second noun, bare, has the modifiers of the first, too."""
        first = self.items[at].mention
        assert first is not None
        if then != at + 1 or not first.related or max(first.related) > first.noun[0] or self.kind(then) != "and":
            return then
        second = self.items[then + 1] if then + 1 < len(self.items) else None
        if second is None or second.kind != "np" or second.mention is None:
            return then
        bare = not second.mention.related and not second.mention.kept
        ends = self.kind(then + 2) not in ("with", "hold", "rel", "dressed")
        sure = bool(first.kept) or lexicon.info(self.items[at].low).plural
        if bare and ends and sure and can_share(second.low):
            second.mention.shared = list(first.related)
        return then


def _stem(verb: Item) -> str:
    """The same for "wearing" and "wears"."""
    return verb.low[:4]
