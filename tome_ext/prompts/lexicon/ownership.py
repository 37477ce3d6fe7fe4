"""Whether one thing can be a part of another, or stands beside it: knowledge both parsers use."""

from __future__ import annotations

from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab

_SMALL_WORDS = vocab.WITH | vocab.PREPOSITIONS | vocab.HOLDING | vocab.DRESSED | vocab.DETERMINERS
_NO_THINGS = vocab.PROPERTIES | vocab.HARD_ATTRIBUTES | _SMALL_WORDS


def belongs(head: str, low: str, how: str, *, somebody: bool = False) -> bool:
    """Whether a thing can be a sub-object of ``head``; ``somebody``: the head is a name, whatever the lexicon says.

    ``how``: "hold" (wearing, holding), "dressed" (dressed in, in a dress), "made" (made of, covered in), "with"
    (with, that has), "own" (with its).
    """
    being = lexicon.animate(low) and not lexicon.handheld(low)
    if how in ("hold", "own"):
        return not being
    if low in vocab.ABOUT_PICTURES and low not in vocab.THINGS_TOO:
        return False
    if how == "made":
        return not being
    somebody = somebody or lexicon.animate(head)
    if lexicon.place(head) and not somebody:
        return False
    if being and not lexicon.wearable(low):
        return False
    if how == "dressed":
        return True
    if somebody:
        worn = lexicon.part(low) or lexicon.wearable(low) or lexicon.carried(low)
        return worn or not (lexicon.bulky(low) or lexicon.place(low))
    return (lexicon.part(low) and not lexicon.place(low) and not lexicon.body_part(low)) or lexicon.wearable(low)


def thing(low: str) -> bool:
    """Whether a word that belongs to an object names a thing rather than a quality: "hat", not "red" or "texture"."""
    known = lexicon.info(low)
    quality = low in vocab.PROPERTIES or low in vocab.HARD_ATTRIBUTES
    small = low in vocab.WITH | vocab.PREPOSITIONS | vocab.DOING | vocab.DETERMINERS
    return not quality and not small and known.noun > max(known.adjective, known.verb)


def worn_or_grown(low: str) -> bool:
    """What only somebody can have on or of the body: clothes, hair, a tail."""
    return lexicon.wearable(low) or lexicon.body_part(low)


def surely_continues(last: str, low: str) -> bool:
    """Whether "a LAST and a LOW" after a linking word are both sub-objects: two clothes, two parts, two properties."""
    if lexicon.animate(low):
        return False
    if low in vocab.PROPERTIES:
        return last in vocab.PROPERTIES
    return all(lexicon.wearable(w) or lexicon.part(w) for w in (last, low))


def can_share(low: str) -> bool:
    """Whether a bare second noun ("a red car and truck") can have the first one's attributes."""
    return lexicon.visible(low) and low not in vocab.PICTURE_WORDS and low not in vocab.MEDIA
