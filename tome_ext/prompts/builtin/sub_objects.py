"""Sub-objects: what somebody wears, holds or has, with all that belongs to it."""

from __future__ import annotations

from tome_ext.prompts.builtin.items import Item
from tome_ext.prompts.builtin.links import Links, predicate, what
from tome_ext.prompts.builtin.owners import stem
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab
from tome_ext.prompts.lexicon.ownership import belongs, surely_continues

# "a hat with a band with a feather": deeper than this nobody follows.
_DEEPEST = 3
_LONGEST_LIST = 12
_OWN_PLACES = frozenset({"on", "in", "over", "around", "under", "across", "down", "at", "between", "to", "along"})
_AWAY = frozenset({"on", "up", "back", "out", "high", "aloft", "backwards", "off", "open", "overhead", "sideways"})


def take_objects(links: Links, owner: Item, first: int, link: int, at: int, how: str, depth: int = 0) -> int:
    """Give an object the list of things at ``at``; the place after it, or ``first`` when the first is none.

    ``link``: the word that opens the list ("wearing"); the small words from ``first`` on go with it.
    ``how``: as in :func:`belongs`. At a ``depth`` the things belong to a sub-object, and go to its owner.
    """
    item = links.items[at] if links.kind(at) == "np" else None
    own = owner.parsed
    assert own is not None
    if item is None or item.parsed is None or _placed(links, at + 1):
        return first
    head = owner if depth == 0 else links.items[link - 1]
    if how == "with" and any(
        links.words[i].low in vocab.POSSESSIVES for i in item.parsed.kept if i < item.parsed.noun[0]
    ):
        how = "own"
    low = what(links, at)
    if not _can_have(head, item, low, how):
        return first
    own.dropped += links.span(first, link)
    own.related += links.span(link, link + 1)
    own.absorb(item.parsed)
    at += 1
    while True:
        at = _own_attributes(links, owner, at, low, depth)
        end = at
        while links.kind(end) in ("and", "comma") and end - at < 2:
            end += 1
        after = links.items[end] if end > at and links.kind(end) == "np" else None
        if after is None or after.parsed is None or not _continues(links, head, low, end, how):
            return at
        if _has_its_own(links, owner, links.items[link], low, end):
            return at
        own.dropped += links.span(at, end)
        own.absorb(after.parsed)
        low, at = what(links, end), end + 1


def _can_have(head: Item, item: Item, low: str, how: str) -> bool:
    """Whether a thing of a list, a ``low``, can belong to ``head``."""
    if item.low in vocab.PROPERTIES:
        own = item.parsed
        return how == "with" and own is not None and bool(own.related or len(own.noun) > 1)
    if item.low in vocab.POSITIONS and item.parsed is not None and not item.parsed.related:
        return False
    return belongs(head.low, low, how, somebody=head.animate)


def _placed(links: Links, at: int) -> bool:
    """ "on it", "behind it": what is there is no part of it."""
    return links.kind(at) == "prep" and links.low(at + 1) in ("it", "them")


def _own_attributes(links: Links, owner: Item, at: int, low: str, depth: int) -> int:
    """What belongs to the sub-object itself: "a hat that is red", "a hat with a feather", "a cup of coffee", and
    what says where on the owner it is: "on her head"."""
    own = owner.parsed
    assert own is not None
    while True:
        then = at
        if links.kind(at) == "rel" and links.kind(at + 1) == "cop":
            then = predicate(links, owner, at, at + 1)
        elif links.kind(at) == "with" and not lexicon.animate(low) and depth < _DEEPEST:
            then = take_objects(links, owner, at, at, at + 1, "with", depth + 1)
        elif links.kind(at) == "prep" and links.kind(at + 1) == "np":
            then = _prepositional(links, owner, at)
        elif links.kind(at) in ("adj", "verb") and _says_how(links, at):
            own.related += links.span(at, at + 1)
            then = at + 1
        elif links.low(at) == "like" and links.kind(at + 1) == "adj":
            own.dropped += links.span(at, at + 2)
            then = at + 2
        elif links.low(at) in _AWAY and links.kind(at) != "np" and links.kind(at + 1) not in ("np", "adj"):
            own.dropped += links.span(at, at + 1)
            then = at + 1
        if then == at:
            return at
        at = then


def _says_how(links: Links, at: int) -> bool:
    """ "his jacket wide open", "with her eyes closed": what describes the noun before it, and no other."""
    last = links.words[links.items[at].end - 1].low
    return last in vocab.AFTER_NOUNS and links.kind(at + 1) not in ("np", "adj")


def _prepositional(links: Links, owner: Item, at: int) -> int:
    """ "of coffee", "like diamonds", "on her head", "on top" after a sub-object."""
    own, inner, thing = owner.parsed, links.items[at + 1], links.phrase(at + 1)
    assert own is not None
    low = links.low(at)
    if thing is None:
        return at
    if low == "of" and not lexicon.animate(inner.low):
        own.related += links.span(at, at + 1)
        own.absorb(thing)
        return at + 2
    possessed = any(links.words[i].low in vocab.POSSESSIVES for i in thing.kept)
    on_the_body = low in _OWN_PLACES and possessed and not lexicon.place(inner.low)
    if low == "like" or on_the_body or (low == "on" and inner.low == "top" and not thing.kept):
        own.dropped += links.span(at, at + 1) + thing.kept + thing.related + thing.noun + thing.dropped
        return at + 2
    return at


def _continues(links: Links, head: Item, last: str, at: int, how: str) -> bool:
    """Whether "and X" goes on with the sub-objects: surely so for clothes and parts, or without an article."""
    after, low = links.items[at], what(links, at)
    own = after.parsed
    if own is None or not _can_have(head, after, low, how) or after.name or lexicon.animate(after.low):
        return False
    closed = links.kind(at - 1) == "and"
    comma = links.kind(at - 1) == "comma" or links.kind(at - 2) == "comma"
    if comma and not closed and not _list_of_clothes(links, at):
        return False
    if surely_continues(last, low):
        return True
    then = links.kind(at + 1)
    if then in ("with", "hold", "dressed", "have") or (then in ("rel", "cop") and not lexicon.wearable(after.low)):
        return False
    return not own.determined and closed


def _list_of_clothes(links: Links, at: int) -> bool:
    """ "…, red gloves, green shirt, and yellow pants": a list that "and" ends, of nothing but clothes and parts."""
    for k in range(at, min(at + 2 * _LONGEST_LIST, len(links.items)), 2):
        if links.kind(k) != "np" or not _worn_or_part(links.low(k)):
            return False
        if links.kind(k + 1) == "comma" and links.kind(k + 2) == "and":
            return links.kind(k + 3) == "np" and _worn_or_part(links.low(k + 3))
        if links.kind(k + 1) == "and":
            return links.kind(k + 2) == "np" and _worn_or_part(links.low(k + 2))
        if links.kind(k + 1) != "comma":
            return False
    return False


def _worn_or_part(low: str) -> bool:
    return lexicon.wearable(low) or lexicon.part(low)


def _has_its_own(links: Links, owner: Item, link: Item, last: str, at: int) -> bool:
    """Whether what follows "and" has sub-objects of its own ("a moon wearing boots and a heart wearing a hat").

    In "a man with a hat and a coat holding a sword" the man holds it: the verb is another one.
    """
    then = at + 1
    while links.kind(then) in ("rel", "cop") and then < at + 4:
        then += 1
    if links.kind(then) in ("hold", "dressed"):
        return not owner.animate or stem(links.items[then]) == stem(link)
    if links.kind(then) != "with" or link.kind != "with" or owner.animate:
        return False
    worn = links.low(then + 1) if links.kind(then + 1) == "np" else ""
    return bool(worn) and lexicon.wearable(last) and lexicon.wearable(worn)
