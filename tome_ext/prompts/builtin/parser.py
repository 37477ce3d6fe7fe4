"""The built-in parser: objects and their words without a language model, for sentences and for lists of tags.

Its passes: words with their closed classes (:mod:`~tome_ext.prompts.builtin.sentence`), noun phrases and small
words (``noun_phrases``), what is no object (``not_objects``), clauses and negations (``clauses``), and owners
(``attachment``). Each takes time in proportion to the length of the prompt.
"""

from __future__ import annotations

from tome_ext.prompts.builtin.attachment import attach
from tome_ext.prompts.builtin.clauses import apply_negations, assign_roles
from tome_ext.prompts.builtin.not_objects import DENIED, leave_out_credits, quotes, why_not
from tome_ext.prompts.builtin.noun_phrases import find_items
from tome_ext.prompts.builtin.sentence import Sentence
from tome_ext.prompts.parsed import ParsedObject
from tome_ext.prompts.words import Word, split_words


def parse(text: str) -> tuple[list[Word], list[ParsedObject]]:
    """The words of a plain text and the objects in it; one with a ``reason`` is to be left alone."""
    words = split_words(text)
    written, idle = quotes(words)
    if idle:
        words = [word for at, word in enumerate(words) if at not in idle]
        written, _ = quotes(words)
    sentence = Sentence(words)
    sentence.write(written)
    items = find_items(sentence)
    leave_out_credits(sentence, items)
    denied = apply_negations(items)
    assign_roles(items)
    objects = attach(words, items)
    for found in objects:
        found.reason = why_not(words, found)
    for item in denied:
        if item.parsed is not None:
            item.parsed.reason = DENIED
            objects.append(item.parsed)
    return words, sorted(objects, key=lambda found: found.noun[0])
