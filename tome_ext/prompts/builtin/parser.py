"""The built-in parser: binding groups without a language model, for sentences and for lists of tags."""

from __future__ import annotations

from tome_ext.prompts.builtin.attachment import attach
from tome_ext.prompts.builtin.noun_phrases import Item, chunk
from tome_ext.prompts.builtin.word_classes import kind_of
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab
from tome_ext.prompts.parsed import Mention
from tome_ext.prompts.words import Word, split_words

_NOT_A_THING = "describes the picture, not an object"
_MADE = ("painted", "illustrated", "directed", "designed", "created", "inspired", "photographed")
_SCENERY = "the mood of a scene, not an attribute of an object"
_NO_ATTRIBUTES = "an object without words that belong to it"


def parse(text: str) -> tuple[list[Word], list[Mention]]:
    """The words of a plain text and the objects in it; a mention with a ``reason`` is to be left alone."""
    words = split_words(text)
    items = chunk(words)
    _leave_out_credits(words, items)
    mentions = attach(words, items)
    for mention in mentions:
        mention.reason = why_not(words, mention)
    return words, mentions


def _leave_out_credits(words: list[Word], items: list[Item]) -> None:
    """Turn names of artists and styles ("by …", "in the style of …") into plain words, up to the next mark."""
    credit = False
    for k, item in enumerate(items):
        if item.kind in ("hard", "comma"):
            credit = False
        if credit and item.kind != "and":
            item.kind, item.mention = "other", None
        by = item.low == "by" and item.kind == "prep" and _names_somebody(words, item.start)
        style = item.kind == "np" and item.low in ("style", "aesthetic") and k + 1 < len(items)
        credit = credit or by or (style and items[k + 1].low == "of")


def _names_somebody(words: list[Word], by: int) -> bool:
    """ "art by …" and ", by …" name people, "surrounded by flowers" and "by the river" do not."""
    passive = by > 0 and words[by - 1].low.endswith("ed") and words[by - 1].low not in _MADE
    return not passive and kind_of(words, by + 1) != "det"


def why_not(words: list[Word], mention: Mention) -> str:
    """Why a noun phrase is no object to bind; empty when it is one."""
    if not mention.related and not mention.shared:
        return _NO_ATTRIBUTES
    head = words[mention.noun[-1]].low
    own = [words[i].low for i in (*mention.related, *mention.shared)]
    described = any(w in vocab.HARD_ATTRIBUTES and w not in vocab.QUALITY_ATTRIBUTES for w in own)
    determined = bool(mention.kept)
    follows_of = mention.noun[-1] + 1 < len(words) and words[mention.noun[-1] + 1].low == "of"
    if head in vocab.MEDIA and (follows_of or not (described and determined)):
        return _NOT_A_THING
    if head in vocab.MANNERS or (head in vocab.PICTURE_WORDS and not (described and determined)):
        return _NOT_A_THING
    if not determined and all(w in vocab.QUALITY_ATTRIBUTES for w in own):
        return _NOT_A_THING
    if not described and not lexicon.visible(head) and not _does_something(words, mention):
        return _NOT_A_THING
    linked = any(i > mention.noun[-1] for i in mention.related)
    if not described and not linked and lexicon.place(head) and not lexicon.wearable(head):
        return _SCENERY
    return ""


def _does_something(words: list[Word], mention: Mention) -> bool:
    """What wears or holds something is in the picture, whatever the dictionary says of its noun."""
    return any(i > mention.noun[-1] and words[i].low in vocab.HOLDING | vocab.DRESSED for i in mention.related)
