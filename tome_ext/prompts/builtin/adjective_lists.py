"""Adjectives of one noun with "and" or a comma between them: "a big, brown bowl", "red, white and blue balls"."""

from __future__ import annotations

from tome_ext.prompts.builtin.sentence import Sentence
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab

_LONGEST = 12


def end_of_joint(sentence: Sentence, run: list[int], at: int, opened: int, joints: list[int], before: str) -> int:
    """The place after "and" or a comma (or both) that joins two adjectives of one noun, else 0.

    ``run``: the adjectives so far; ``joints``: what joins them. A comma divides tags, so it joins only after a
    determiner, and never after "and".
    """
    if (
        sentence.low(at) == "-"
        and opened >= 0
        and sentence.low(at + 1).endswith("ed")
        and sentence.leads_to_noun(at + 1)
    ):
        return at + 1  # "a long - sleeved shirt"
    end = at
    comma = sentence.kind(end) == "comma"
    if comma:
        end += 1
    conjunction = sentence.kind(end) == "and"
    if conjunction:
        end += 1
    if conjunction and sentence.fixed_name(end) and sentence.low(end) in vocab.HARD_ATTRIBUTES:
        return 0
    if end == at or not sentence.modifier(run[-1]) or sentence.kind(end) != "word":
        return 0
    last = sentence.low(run[-1])
    if len(run) > 1 and last in vocab.ALSO_THINGS and not comma:
        return 0
    listed = False
    info = lexicon.info(last)
    if comma and info.noun and info.noun >= info.adjective and last not in vocab.HARD_ATTRIBUTES:
        return 0
    if comma:
        listed = before in ("hard", "prep", "with", "hold", "and", "cop", "have") and _colours(sentence, run[0])
        sized = before == "with" and last in vocab.SIZES
        if any(sentence.kind(i) == "and" for i in joints) or not (opened >= 0 or listed or sized):
            return 0
    predicate = before == "cop" and sentence.modifier(end) and sentence.kind(end + 1) != "word"
    if comma and predicate and not (conjunction or listed):
        return 0
    return end if predicate or sentence.leads_to_noun(end) else 0


def _colours(sentence: Sentence, at: int) -> bool:
    """A list of colours that ends with "and": "white, yellow and pink"."""
    ended = False
    for i in range(at, at + _LONGEST):
        low = sentence.low(i)
        if low in vocab.COLOURS or sentence.shade(i):
            if ended:
                return True
        elif sentence.kind(i) == "and":
            ended = True
        elif low != ",":
            return False
    return False
