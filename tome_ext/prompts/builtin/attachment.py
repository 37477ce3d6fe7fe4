"""What belongs to which noun phrase: the pass that gives attributes and sub-objects to their owners.

From left to right, each noun phrase takes what follows it directly and surely: "that is red", "with
glasses", "wearing a red hat and a scarf", "in a blue dress". What stands further away goes to the one object
of the sentence that can own it, else to none. A spatial word or a verb between two objects never makes one a
part of the other.
"""

from __future__ import annotations

from tome_ext.prompts.builtin.adjective_lists import listed_after, portion, share, share_later, shared_noun
from tome_ext.prompts.builtin.items import Item
from tome_ext.prompts.builtin.links import Links, predicate
from tome_ext.prompts.builtin.owners import Owners, stem
from tome_ext.prompts.builtin.sub_objects import take_objects
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab
from tome_ext.prompts.lexicon.ownership import worn_or_grown
from tome_ext.prompts.parsed import ParsedObject
from tome_ext.prompts.words import Word

# A joint and what may follow it when a noun phrase goes on: "and holding", ", wearing", "and with".
_GOES_ON = {("and", kind) for kind in ("hold", "dressed", "with", "rel", "cop")} | {
    ("comma", "hold"),
    ("comma", "dressed"),
}
_PRONOUNS = frozenset({"he", "she", "it", "they"})
_STANDS_BEFORE = _PRONOUNS | vocab.ALL_OF | {"while"}


def attach(words: list[Word], items: list[Item]) -> list[ParsedObject]:
    """The objects of a prompt, each with its sub-objects."""
    return _Attachment(words, items).run()


class _Attachment:
    def __init__(self, words: list[Word], items: list[Item]) -> None:
        self.links = Links(words, items)
        self.items = items
        self.owners = Owners(self.links)
        self.found: list[ParsedObject] = []

    def run(self) -> list[ParsedObject]:
        at = 0
        while at < len(self.items):
            item = self.items[at]
            if item.kind == "hard":
                self.owners.new_sentence()
                at += 1
            elif item.kind == "np" and item.parsed is not None and (end := listed_after(self.links, at)):
                self.found.append(item.parsed)
                at = end
            elif item.kind == "np" and item.parsed is not None:
                shared_noun(self.links, at, item.parsed)
                portion(self.links, at, item.parsed)
                self.found.append(item.parsed)
                self.owners.add(item)
                at = self.after_noun(item, at)
            elif item.kind in ("hold", "dressed", "with", "have") or item.low == "in":
                at = self.away_from_noun(at)
            else:
                if item.kind == "comma":
                    self.owners.new_tag()
                at += 1
        return self.found

    def after_noun(self, item: Item, place: int) -> int:
        """Take in what follows a noun phrase at ``place``, as far as it surely belongs to an object."""
        at, owner = place + 1, item
        while True:
            then, owner = self.one(item, owner, at, at)
            if then == at and (self.links.kind(at), self.links.kind(at + 1)) in _GOES_ON:
                then, owner = self.one(item, owner, at, at + 1)
            if then == at:
                break
            item, at = owner, self.before_next_verb(owner, at, then)
        share(self.links, place, at)
        return at

    def one(self, item: Item, owner: Item, first: int, at: int) -> tuple[int, Item]:
        """One attribute or sub-object phrase at ``at``: the place after it with its owner, or ``first``.

        ``item``: the noun phrase before it. Words from ``first`` on go with it.
        """
        links = self.links
        if links.kind(at) == "comma" and links.kind(at + 1) == "rel":
            at += 1
        relative = links.kind(at) == "rel"
        at += relative
        copula = links.kind(at) == "cop"
        while links.kind(at) == "cop" and self.goes_with_copula(at + 1):
            at += 1
        found = self.owner_of(item, at, relative, first)
        if found is None or found.parsed is None:
            return first, owner
        then = self.give(found, first, at, relative)
        if then > first and copula and links.kind(at) in ("hold", "dressed"):
            self.keep_copula(found, first, at, then)
        plural = links.low(at) in ("are", "were") or (
            links.kind(at) in ("hold", "dressed", "with") and lexicon.info(links.low(at + 1)).plural
        )
        if then > first and found is item and plural:
            share_later(self.links, item, first)
        return then, found if then > first else owner

    def goes_with_copula(self, at: int) -> bool:
        """ "is wearing", "are colored orange"."""
        return self.links.kind(at) in ("cop", "hold", "dressed") or self.links.low(at) in vocab.PAINTED

    def owner_of(self, item: Item, at: int, relative: bool, first: int) -> Item | None:
        """The object that what stands at ``at`` belongs to; None where that is not sure."""
        kind, low = self.links.kind(at), self.links.low(at)
        if kind == "cop":
            return self.owners.of_predicate(item, at, relative)
        if kind == "have":
            had = relative or item.animate or self.links.low(at + 1) in vocab.PROPERTIES
            return self.owners.of_predicate(item, at, relative) if had else None
        if self.late(first, at) and not relative:
            return self.owners.after_comma(item, first, at) if item.animate else None
        if kind == "hold":
            return self.owners.of_held(item, at, relative)
        if relative:
            return None
        if kind == "dressed":
            return self.owners.of_held(item, at, relative) if low in vocab.CLOTHED else item
        if kind == "with":
            return self.owners.of_with(item, at)
        if low in ("in", "of") and self.links.low(at + 1) in vocab.PROPERTIES:
            return item
        if low == "in":
            return self.owners.of_clothes(item, at)
        if kind == "verb" and low in vocab.PAINTED:
            return self.owners.of_predicate(item, at, relative)
        if kind == "adj":
            return item
        return None

    def late(self, first: int, at: int) -> bool:
        """ ", wearing", ", dressed in": a participle of clothes and things behind a comma."""
        kind = self.links.kind(at)
        worn = kind == "hold" or (kind == "dressed" and self.links.low(at) in vocab.CLOTHED)
        return worn and self.links.kind(first) == "comma"

    def give(self, owner: Item, first: int, at: int, relative: bool) -> int:
        """Give ``owner`` what stands at ``at``; the place after it, ``first`` where it cannot belong to it."""
        links, kind, low = self.links, self.links.kind(at), self.links.low(at)
        if kind == "cop":
            return predicate(links, owner, first, at)
        if kind == "have":
            return take_objects(links, owner, first, at, at + 1, "with")
        if kind == "hold":
            self.owners.verbs.add(stem(self.items[at]))
            if low in vocab.WEARING and links.only_colours(at + 1):
                return links.takes(owner, first, at, at + 1)
            return take_objects(links, owner, first, at, at + 1, "hold")
        if kind == "dressed":
            if links.adjectives(at + 1):
                return links.takes(owner, first, at, at + 1)
            return take_objects(links, owner, first, at, at + 1, "dressed" if low in vocab.CLOTHED else "made")
        if kind == "with" or low in ("in", "of"):
            if links.low(at + 1) in vocab.PROPERTIES:
                return take_objects(links, owner, first, at, at + 1, "with")
            if low == "in":
                return self.clothes(owner, first, at)
            return take_objects(links, owner, first, at, at + 1, "with") if kind == "with" else first
        if kind == "verb" and low in vocab.PAINTED and links.adjectives(at + 1):
            return links.takes(owner, first, at, at + 1)
        if kind == "adj" and first == at and self.stands_alone(at):
            return links.takes(owner, first, at, at)
        return first

    def clothes(self, owner: Item, first: int, at: int) -> int:
        """ "in a blue dress", "in pink"."""
        links = self.links
        if links.only_colours(at + 1):
            return links.takes(owner, first, at, at + 1)
        if links.phrase(at + 1) is not None and lexicon.wearable(links.low(at + 1)):
            return take_objects(links, owner, first, at, at + 1, "dressed")
        return first

    def stands_alone(self, at: int) -> bool:
        """ "a car red": a colour after its noun, with nothing else that it could describe."""
        return self.links.only_colours(at) and self.links.kind(at + 1) in ("hard", "and") and not self.np_after(at)

    def np_after(self, at: int) -> bool:
        return self.links.kind(at + 1) == "and" and self.links.kind(at + 2) == "adj"

    def keep_copula(self, owner: Item, first: int, at: int, then: int) -> None:
        """ "a woman is wearing a hat while walking": the walking needs the "is"."""
        links, own = self.links, owner.parsed
        joined = links.kind(then) == "and" or links.low(then) == "while"
        if own is not None and joined and links.kind(then + 1) == "verb":
            words = set(links.span(first, at))
            own.dropped = [i for i in own.dropped if i not in words]

    def before_next_verb(self, owner: Item, first: int, then: int) -> int:
        """Drop "while" or "and" between a phrase that goes and a participle that stays."""
        links, own = self.links, owner.parsed
        held = any(links.kind(k) in ("hold", "dressed") for k in range(first, min(first + 4, then)))
        if own is None or not held or links.kind(then + 1) != "verb":
            return then
        if links.kind(then) == "and" or (links.low(then) == "while" and links.low(then + 1).endswith("ing")):
            own.dropped += links.span(then, then + 1)
            return then + 1
        return then

    def away_from_noun(self, at: int) -> int:
        """A phrase that does not follow its noun ("a cat sleeping, wearing a hat", "woman, she wears a dress")."""
        links = self.links
        if links.low(at + 1) in vocab.PROPERTIES:
            return self.property_of_all(at)
        if links.kind(at) == "have" and links.kind(at - 1) == "verb":
            return at + 1  # "should have"
        first = at
        while links.kind(first - 1) == "cop":
            first -= 1
        refused = self.late(first - 1, at) and links.kind(first - 2) == "np" and self.items[first - 2].animate
        previous = links.low(first - 1)
        if previous in _STANDS_BEFORE or links.kind(first - 1) == "and":
            first -= 1
        if previous in _PRONOUNS and links.kind(first - 1) not in ("comma", "and"):
            return at + 1
        worn = links.phrase(at + 1) is not None and worn_or_grown(links.low(at + 1))
        if links.kind(at) in ("with", "prep") and not (worn and links.kind(at - 1) in ("verb", "comma", "other")):
            return at + 1
        if links.kind(at) == "prep" and not lexicon.wearable(links.low(at + 1)):
            return at + 1
        owner = None if refused else self.owners.only() or self.owners.alone()
        if owner is None:
            return at + 1
        then = self.give(owner, first, at, False)
        if then <= at:
            return at + 1
        then = self.before_next_verb(owner, at, then)
        while True:
            more, _ = self.one(owner, owner, then, then)
            if more == then and (links.kind(then), links.kind(then + 1)) in _GOES_ON:
                more, _ = self.one(owner, owner, then, then + 1)
            if more == then:
                return then
            then = more

    def property_of_all(self, at: int) -> int:
        """ "four dogs, each with a glass texture": the property of the noun before the comma."""
        links, first, subject = self.links, at - 1, self.owners.subject
        if links.kind(first) == "verb" and subject is not None:
            return max(take_objects(links, subject, at, at, at + 1, "with"), at + 1)
        while links.kind(first) == "comma" or links.low(first) in vocab.ALL_OF:
            first -= 1
        if links.kind(first) != "np" or first == at - 1 or self.items[first].position:
            return at + 1
        return max(take_objects(links, self.items[first], first + 1, at, at + 1, "with"), at + 1)
