"""Whether one thing can be a part of another, or stands beside it: knowledge both parsers use."""

from __future__ import annotations

from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab


def belongs(head: str, low: str, how: str) -> bool:
    """Whether a thing can be a sub-object of ``head``.

    ``how``: "hold" (wearing, holding), "dressed" (dressed in, in a dress, made of), "with" (with, that has),
    "own" (with its).
    """
    if how in ("hold", "own"):
        return not lexicon.animate(low)
    if low in vocab.PICTURE_WORDS or low in vocab.MEDIA:
        return False
    if lexicon.place(head) and not lexicon.animate(head):
        return False
    if lexicon.animate(low) and not lexicon.wearable(low):
        return False
    if how == "dressed":
        return True
    if lexicon.animate(head):
        return not lexicon.bulky(low) and (not lexicon.place(low) or lexicon.part(low) or lexicon.wearable(low))
    return lexicon.part(low) or lexicon.wearable(low)


def surely_continues(last: str, low: str) -> bool:
    """Whether "a LAST and a LOW" after a linking word are both sub-objects: two clothes, two parts."""
    if lexicon.animate(low) and low not in vocab.WEARABLE:
        return False
    return all(lexicon.wearable(w) or lexicon.part(w) for w in (last, low))


def can_share(low: str) -> bool:
    """Whether a bare second noun ("a red car and truck") can have the first one's attributes."""
    return lexicon.visible(low) and low not in vocab.PICTURE_WORDS and low not in vocab.MEDIA
