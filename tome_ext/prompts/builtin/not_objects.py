"""What is no object to bind: styles, makers, quoted writing, the mood of a scene, and why."""

from __future__ import annotations

from tome_ext.prompts.builtin.items import Item
from tome_ext.prompts.builtin.sentence import Sentence
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab
from tome_ext.prompts.parsed import ParsedObject
from tome_ext.prompts.words import Word

RUN_ON = "many words in a row without commas: unclear which belong together"
NOT_A_THING = "describes the picture, not an object"
DENIED = "the prompt denies it: left as it stands"
_MADE = ("painted", "illustrated", "directed", "designed", "created", "inspired", "photographed")
_SCENERY = "the mood of a scene, not an attribute of an object"
_NO_ATTRIBUTES = "an object without words that belong to it"
_POSITION = "says where something is"
_QUOTES = {'"': '"', "“": "”", "‘": "'", "'": "'", "«": "»", "„": "“", "`": "`"}
_LONGEST_WRITING = 12
# More words than this in one noun, or before one, are a list whose commas are missing.
_LONGEST_NOUN = 3
_MOST_MODIFIERS = 6


def leave_out_credits(sentence: Sentence, items: list[Item]) -> None:
    """Turn names of artists and styles ("by …", "in the style of …") into plain words, up to the next mark; and those
    of works ("Ghost in the Shell")."""
    credit = False
    for k, item in enumerate(items):
        if item.kind in ("hard", "comma", "verb"):
            credit = False
        if credit and item.kind != "and":
            item.kind, item.parsed = "other", None
        by = item.low == "by" and item.kind == "prep" and _names_somebody(sentence, item.start)
        if item.kind == "np" and _titles(sentence, item):
            item.kind, item.parsed = "other", None
        style = item.kind == "np" and item.low in ("style", "aesthetic") and k + 1 < len(items)
        credit = credit or by or (style and items[k + 1].low == "of")


def _titles(sentence: Sentence, item: Item) -> bool:
    """ "Ghost in the Shell", "Lord of the Rings": capitals on both sides of small words."""
    end = item.end
    small = sentence.low(end) in ("in", "of") and sentence.low(end + 1) == "the"
    return small and sentence.capital(end - 1) and sentence.capital(end + 2)


def _names_somebody(sentence: Sentence, by: int) -> bool:
    """ "art by …" and ", by …" name people, "surrounded by flowers" and "by the river" do not."""
    passive = by > 0 and sentence.low(by - 1).endswith("ed") and sentence.low(by - 1) not in _MADE
    return not passive and sentence.kind(by + 1) != "det"


def quotes(words: list[Word]) -> tuple[set[int], set[int]]:
    """The words in quotes, which are to be written in the picture; and the quotes around one attribute, which say
    nothing."""
    written: set[int] = set()
    idle: set[int] = set()
    at = 0
    while at < len(words):
        closing = _QUOTES.get(words[at].low, "")
        end = _closing(words, at, closing) if closing and _opens(words, at) else 0
        if end and _marks_an_attribute(words, at, end):
            idle |= {at, end}
        elif end:
            written |= set(range(at, end + 1))
        at = max(at, end) + 1
    return written, idle


def _opens(words: list[Word], at: int) -> bool:
    """Whether a quote stands before a word and after a gap."""
    apart = at == 0 or words[at - 1].end < words[at].start or not words[at - 1].is_word
    return apart and at + 1 < len(words) and words[at + 1].start == words[at].end


def _closing(words: list[Word], at: int, closing: str) -> int:
    for end in range(at + 2, min(at + _LONGEST_WRITING + 2, len(words))):
        if words[end].low == "\n":
            return 0
        if words[end].low in closing and words[end].start == words[end - 1].end:
            return end
    return 0


def _marks_an_attribute(words: list[Word], at: int, end: int) -> bool:
    """ "a “red” cat"."""
    low = words[at + 1].low
    attribute = low in vocab.HARD_ATTRIBUTES or lexicon.info(low).attribute
    return end == at + 2 and attribute and end + 1 < len(words) and words[end + 1].is_word


def why_not(words: list[Word], found: ParsedObject) -> str:
    """Why a noun phrase is no object to bind; empty when it is one."""
    head = words[found.noun[-1]].low
    if not found.related and not found.shared:
        return _NO_ATTRIBUTES
    if _runs_on(words, found):
        return RUN_ON
    own = [words[i].low for i in (*found.related, *found.shared)]
    described = any(_physical(w) for w in own)
    first = words[found.kept[0]].low if found.determined else ""
    if head in vocab.PLACES_ONLY and not (described and first in ("a", "an")):
        return _POSITION
    surface = found.determined and any(w in vocab.SURFACES for w in own)
    if _picture(words, found, head, described or surface):
        return NOT_A_THING
    if not found.determined and all(w in vocab.PRAISE for w in own):
        return NOT_A_THING
    if not (described or surface) and not lexicon.visible(head) and not _does_something(words, found):
        return NOT_A_THING
    linked = any(i > found.noun[-1] for i in found.related)
    before = words[found.kept[0] - 1].low if found.determined and found.kept[0] else ""
    if first == "the" and before == "into" and lexicon.place(head) and not linked:
        return _SCENERY
    if not (described or linked or surface) and lexicon.place(head) and not lexicon.wearable(head):
        return _SCENERY
    return ""


def _runs_on(words: list[Word], found: ParsedObject) -> bool:
    """A noun of four words that is no name, or seven modifiers with nothing between them."""
    noun = found.noun
    long_noun = len(noun) > _LONGEST_NOUN and not all(words[i].capital for i in noun)
    before = sum(i < noun[0] for i in found.related)
    return long_noun or (before > _MOST_MODIFIERS and not found.dropped)


def _picture(words: list[Word], found: ParsedObject, head: str, described: bool) -> bool:
    """Whether a noun is a kind of picture, a style, or some other word about the picture."""
    after = found.noun[-1] + 1
    follows_of = after < len(words) and words[after].low == "of"
    if head not in vocab.THINGS_TOO and head[:-1] in vocab.ABOUT_PICTURES and head.endswith("s"):
        head = head[:-1]
    hard = any(_physical(words[i].low) for i in found.related)
    if head in vocab.MEDIA and (follows_of or not (hard and found.determined)):
        return True
    if head in vocab.MANNERS or (head in vocab.PICTURE_WORDS and follows_of) or lexicon.info(head).flags == "s":
        return True
    return head in vocab.PICTURE_WORDS and not (described and (found.determined or head in vocab.THINGS_TOO))


def _physical(word: str) -> bool:
    """A colour, a material, a shape or a size, alone or as a part: "glass-textured"."""
    if word in vocab.HARD_ATTRIBUTES and word not in vocab.QUALITY_ATTRIBUTES:
        return True
    last = word.rsplit("-", 1)[-1]
    return word[0] == "#" or (last != word and last in vocab.ATTRIBUTE_ENDINGS)


def _does_something(words: list[Word], found: ParsedObject) -> bool:
    """What wears or holds something is in the picture, whatever the dictionary says of its noun."""
    return any(i > found.noun[-1] and words[i].low in vocab.DOING for i in found.related)
