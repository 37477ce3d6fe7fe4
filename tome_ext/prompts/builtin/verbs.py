"""Whether a word that may be a noun or an adjective is a verb where it stands."""

from __future__ import annotations

from tome_ext.prompts.builtin.sentence import Sentence
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab

AFTER_VERB = frozenset({"prep", "with", "det", "other", "cop"})
_MEANS = frozenset({"while", "when", "by", "after", "before", "for"})
_OPENS_ATTRIBUTES = frozenset({"with", "prep", "hold", "dressed", "have", "cop", "neg"})


def opens_verb(sentence: Sentence, at: int, before: str, before_low: str) -> bool:
    """Whether a word that opens a phrase without a determiner is a verb ("sitting", "rests")."""
    low, info = sentence.low(at), lexicon.info(sentence.low(at))
    if low in vocab.HARD_ATTRIBUTES or not info.verb:
        return False
    after = sentence.kind(at + 1)
    if low.endswith("ing") and info.participle:
        return _participle_acts(sentence, at, before, before_low)
    if low.endswith("ed") or not info.noun:
        return not (info.adjective and after == "word" and before != "np")
    if before in ("np", "rel"):
        return info.verb >= info.noun
    return False


def _participle_acts(sentence: Sentence, at: int, before: str, before_low: str) -> bool:
    """Whether an -ing form without a determiner is what somebody does ("dog chasing cat"), not a description
    ("with glowing eyes") nor a noun ("ceiling")."""
    info = lexicon.info(sentence.low(at))
    if before == "np":
        return info.verb >= info.noun and not sentence.fixed_name(at)
    if info.noun > info.verb:
        return False
    if sentence.kind(at + 1) != "word" or before_low in _MEANS:
        return True
    return not (info.adjective if before in _OPENS_ATTRIBUTES else info.listed)


def ends_noun_phrase(sentence: Sentence, run: list[int], at: int, opened: int, conjoined: bool) -> bool:
    """Whether a noun phrase is over before this word: a verb, an adverb, or the start of another phrase.

    ``run``: its words so far. ``opened``: where its determiner stands, -1 without one. ``conjoined``: it stands
    after "and".
    """
    low, info = sentence.low(at), lexicon.info(sentence.low(at))
    previous = sentence.low(run[-1])
    if lexicon.is_phrase(previous, low):
        return False
    if sentence.low(at + 1) == "of" and (low in vocab.SIDES or low == "free"):
        return True
    if low in vocab.TRAILING and sentence.kind(at + 1) != "word":
        return True
    if low == "upside" or (info.adverb and info.adverb >= info.noun and not info.adjective > info.adverb):
        return True
    if low.endswith("ing") and info.participle:
        return info.verb >= info.noun
    if low in vocab.PAST_FORMS and _follows_verb(sentence, at + 1):
        return True
    if low in vocab.COLOURS and low not in ("rose", "gold"):
        return True
    if low in vocab.QUALITY_ATTRIBUTES and sentence.modifier(at):
        return True
    if low in vocab.PAINTED or (low.endswith("ed") and info.participle and previous in vocab.PROPERTIES):
        return True
    if low.endswith("ed") and info.participle and not info.noun:
        singular = not lexicon.info(previous).plural
        described = sentence.noun_capable(at + 1) and sentence.kind(at + 1) == "word"
        return not (opened >= 0 and singular and described)
    if not sentence.noun_capable(at):
        return True
    return bool(info.verb) and _finite(sentence, run, at, opened, conjoined)


def _follows_verb(sentence: Sentence, at: int) -> bool:
    """An adverb, or a small word that a verb goes with."""
    adverb = sentence.kind(at) == "word" and lexicon.info(sentence.low(at)).adverb > 0
    return adverb or sentence.kind(at) in AFTER_VERB


def _finite(sentence: Sentence, run: list[int], at: int, opened: int, conjoined: bool) -> bool:
    """Whether a word after a noun that may be a verb is one ("the chair creaks", "the lamps light the room")."""
    info, after = lexicon.info(sentence.low(at)), sentence.kind(at + 1)
    has_determiner = opened >= 0
    first = sentence.low(opened) if has_determiner else ""
    plural = lexicon.info(sentence.low(run[-1])).plural or conjoined or first in vocab.PLURAL
    if after == "det" or (after == "other" and (has_determiner or conjoined)):
        return True
    goes_on = after not in ("end", "hard", "comma", "and")
    if conjoined and goes_on and first not in ("a", "an") and not info.third and info.verb > info.noun + 2:
        return True
    if info.third:
        if plural:
            return info.verb > info.noun
        if sentence.low(at + 1) in ("as", "while", "when") or sentence.low(at + 1).endswith("ly"):
            return True
        if lexicon.info(sentence.low(at + 1)).participle and info.verb > info.noun:
            return True
        return has_determiner and (info.verb > info.noun or (first in vocab.SINGULAR and after in AFTER_VERB))
    if plural and (sentence.low(at + 1) in vocab.PARTICLES or after in AFTER_VERB):
        return info.verb > info.noun or (conjoined and info.verb >= info.noun)
    return False
