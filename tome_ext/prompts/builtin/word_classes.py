"""Closed classes: what kind of small word or mark stands at a place."""

from __future__ import annotations

from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab
from tome_ext.prompts.words import Word

_CLOSED: dict[str, str] = {
    **dict.fromkeys(vocab.PREPOSITIONS, "prep"),
    **dict.fromkeys(vocab.AUXILIARIES, "verb"),
    **dict.fromkeys(vocab.PRONOUNS, "other"),
    **dict.fromkeys(vocab.WITH, "with"),
    **dict.fromkeys(vocab.COPULAS, "cop"),
    **dict.fromkeys(vocab.HAVE, "have"),
    **dict.fromkeys(vocab.HOLDING, "hold"),
    **dict.fromkeys(vocab.RELATIVES, "rel"),
    **dict.fromkeys(vocab.CONJUNCTIONS, "and"),
    ",": "comma",
}


def kind_of(words: list[Word], at: int) -> str:
    """The closed class of a word, "det", "word" for open classes, "mark", "hard" or "end"."""
    if at >= len(words):
        return "end"
    word = words[at]
    if (word.low in vocab.DETERMINERS and word.low != "that") or word.low.isdigit():
        return "det"
    if word.low == "can" and at and lexicon.is_phrase(words[at - 1].low, "can"):
        return "word"
    if word.low == "can" and (at + 1 == len(words) or not words[at + 1].is_word or words[at + 1].low in _CLOSED):
        return "word"
    if word.low in _CLOSED:
        return _CLOSED[word.low]
    if word.low == "'s":
        return "other"
    if word.hard:
        return "hard"
    return "word" if word.is_word else "mark"
