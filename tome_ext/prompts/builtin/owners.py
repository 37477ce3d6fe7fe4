"""Whose things they are: the owner of what is worn, held, had or said of a noun."""

from __future__ import annotations

from tome_ext.prompts.builtin.items import Item
from tome_ext.prompts.builtin.links import Links, what
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab
from tome_ext.prompts.lexicon.ownership import worn_or_grown

_SINGULAR_COPULAS = frozenset({"is", "was"})
_PLURAL_COPULAS = frozenset({"are", "were"})
_NEAR = 8  # so many people of a sentence are looked at


class Owners:
    """The objects of one sentence so far, to find the owner of what comes next."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.verbs: set[str] = set()  # the verbs that have an owner, by their stems
        self.any_person = False  # in the whole prompt
        self.new_sentence()

    def new_sentence(self) -> None:
        """Forget the objects: a sentence is over."""
        self.known: list[Item] = []
        self.names: list[Item] = []
        self.subject: Item | None = None
        self.count = 0
        self.new_tag()

    def new_tag(self) -> None:
        """A comma: what comes may be another tag."""
        self.earlier = (len(self.known), len(self.names))

    def add(self, item: Item) -> None:
        """One more object."""
        self.count += 1
        if item.role == "subject" and not item.position and item.low not in vocab.NO_SUBJECTS:
            self.subject = item
        if not item.animate or item.low in vocab.ABOUT_PICTURES or lexicon.info(item.low).flags == "s":
            return
        if lexicon.animate(item.low):
            self.any_person = True
            self.known.append(item)
        elif item.role == "subject":
            self.names.append(item)

    def only(self, *, in_tag: bool = False) -> Item | None:
        """The one person or animal of the sentence, or the one that is a subject; None where several could be.

        ``in_tag``: not one from before the last comma.
        """
        found = self.known or self.names
        if self.known and self.names:
            found = [*(one for one in self.known[:_NEAR] if not _counted(one)), *self.names[:_NEAR]]
        if in_tag:
            found = self.known[self.earlier[0] :] or self.names[self.earlier[1] :]
        if len(found) == 1:
            return found[0]
        subjects = [p for p in found[:_NEAR] if p.role == "subject"] if len(found) < _NEAR else []
        return subjects[0] if len(subjects) == 1 else None

    def after_comma(self, item: Item, first: int, at: int) -> Item | None:
        """Who wears or holds what follows the verb at ``at``, behind the comma at ``first`` after somebody, ``item``.

        Of several people and animals only one that is the subject, or the nearest where all others have things of their
        own: "a red cat, a blue dog, wearing sunglasses" does not say whose they are.
        """
        people = [*self.known[-_NEAR:], *self.names[-_NEAR:]]
        subjects = [one for one in people if one.role == "subject"] or people
        if item not in subjects:
            return subjects[0] if len(subjects) == 1 else None
        others = [one for one in subjects if one is not item and not _equipped(one)]
        others = [one for one in others if _counted(item) or not _counted(one)]
        joined = self.links.kind(first - 1) == "np" and self.links.kind(first - 2) == "and"
        return item if not others or (joined and lexicon.info(self.links.low(at + 1)).plural) else None

    def alone(self) -> Item | None:
        """The noun of a sentence that has no other, where it can be a name: "jack, wearing a red dress"."""
        own = self.subject.parsed if self.subject is not None else None
        return self._bare_subject(None) if self.count == 1 and own is not None and not own.related else None

    def of_predicate(self, item: Item, at: int, relative: bool) -> Item | None:
        """The subject of "is red" after the noun phrase ``item``: not the nearest noun but that of the clause."""
        if relative:
            return self.subject if item.position else item
        copula = self.links.low(at)
        if item.role == "subject" and not item.position:
            joined = copula in _PLURAL_COPULAS and self.links.kind(at - 2) == "and" and self.links.kind(at - 3) == "np"
            several = joined and _plural(self.links, item) is not True and self.links.items[at - 3].role != "subject"
            return None if several else item
        subject = self.subject
        if subject is None:
            return None
        plural = _plural(self.links, subject)
        if (copula in _SINGULAR_COPULAS and plural) or (copula in _PLURAL_COPULAS and plural is False):
            return None
        return subject

    def of_held(self, item: Item, at: int, relative: bool) -> Item | None:
        """Who wears or holds what follows the verb at ``at``, after the noun phrase ``item``."""
        if self._somebody(item):
            return item
        verb = self.links.items[at]
        if item.role == "of" and self.subject is not None and self._somebody(self.subject):
            return self.subject
        if relative and item.role == "subject":
            return item
        thing = not (lexicon.wearable(item.low) or lexicon.part(item.low) or lexicon.place(item.low))
        idle = item.position or item.low in vocab.ABOUT_PICTURES or (item.bare and not thing)
        if item.role != "subject" or idle or lexicon.place(item.low):
            return self.only() or self._bare_subject(item)
        if not verb.low.endswith("ing"):
            return None
        if not self.any_person:
            return item
        return item if self._beside_people(item, thing, at) else self.only()

    def _somebody(self, item: Item) -> bool:
        if item.role == "of" and not lexicon.animate(item.low):
            return False
        return item.animate and item.low not in vocab.ABOUT_PICTURES

    def _bare_subject(self, item: Item | None) -> Item | None:
        """ "peach on a sofa wearing a hat": a bare noun that opens the clause is a name here."""
        subject = self.subject
        if subject is None or subject is item or not subject.bare or self.any_person:
            return None
        thing = not (lexicon.wearable(subject.low) or lexicon.part(subject.low) or lexicon.place(subject.low))
        plain = subject.low not in vocab.ABOUT_PICTURES and not lexicon.info(subject.low).plural
        return subject if thing and plain and lexicon.info(subject.low).flags != "s" else None

    def _beside_people(self, item: Item, thing: bool, at: int) -> bool:
        """A thing that holds something beside a person: "a dog and a vase holding flowers", "a cat wearing a hat and a
        vase wearing a scarf"."""
        links = self.links
        joint = at - 2
        while links.kind(joint) in ("and", "comma") and joint > at - 5:
            joint -= 1
        if item.bare or joint == at - 2:
            return False
        if stem(links.items[at]) in self.verbs:
            return True
        return thing and links.kind(joint) == "np" and links.items[joint].animate

    def of_with(self, item: Item, at: int) -> Item | None:
        """Who has what follows "with" at ``at``, after the noun phrase ``item``: not the bench the hat."""
        low = what(self.links, at + 1)
        if item.position:
            return self.subject
        if low in vocab.PROPERTIES or self._somebody(item):
            return item
        thing = self.links.phrase(at + 1)
        own = thing is not None and any(self.links.words[i].low in vocab.POSSESSIVES for i in thing.kept)
        if item.role == "object" and own:
            return None
        if worn_or_grown(low):
            in_place = item.role != "subject" or lexicon.place(item.low)
            if in_place or lexicon.body_part(low):
                return self.only(in_tag=True) or (
                    item if item.role == "subject" and not lexicon.place(item.low) else None
                )
            return item
        if item.role != "subject" and lexicon.carried(low) and not lexicon.part(low):
            return self.only(in_tag=True)
        return item

    def of_clothes(self, item: Item, at: int) -> Item | None:
        """Who is in what follows "in" at ``at``: people, animals and what is treated like them."""
        worn = self.links.phrase(at + 1) is not None and lexicon.wearable(self.links.low(at + 1))
        if self._somebody(item) or (not lexicon.info(item.low).known and item.role != "of"):
            return item
        coloured = self.links.only_colours(at + 1)
        if not (worn or coloured):
            return None
        if item.role != "subject":
            return self.only(in_tag=True) if worn else None
        thing = not (lexicon.wearable(item.low) or lexicon.part(item.low) or lexicon.place(item.low))
        info = lexicon.info(item.low)
        picture = item.low in vocab.ABOUT_PICTURES
        name = item.bare and thing and not (info.plural or picture)
        return item if name and (coloured or not self.any_person) else None


def _counted(item: Item) -> bool:
    """ "1girl", which may count the one whose name follows."""
    return item.low[:1].isdigit()


def _equipped(item: Item) -> bool:
    """Whether somebody has things of their own already, behind their noun."""
    own = item.parsed
    return own is not None and any(word > own.noun[-1] for word in own.related)


def _plural(links: Links, item: Item) -> bool | None:
    """Whether a noun phrase is plural; None where its form does not tell."""
    own = item.parsed
    first = links.words[own.kept[0]].low if own is not None and own.kept else ""
    if first in vocab.SINGULAR:
        return False
    if first in vocab.PLURAL or first in vocab.ALL_OF or first.isdigit() or lexicon.info(item.low).plural:
        return True
    return None


def stem(verb: Item) -> str:
    """The same for "wearing" and "wears"."""
    return verb.low[:4]
