"""The words of a prompt with their closed classes, and what is known of each word for itself."""

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
    **dict.fromkeys(vocab.NEGATIONS, "neg"),
    **dict.fromkeys(vocab.DETERMINERS - {"that"}, "det"),
    **dict.fromkeys(",，、", "comma"),
    "'s": "other",
}
# Where capitals are this common they say nothing of names.
_TITLE_CASE = 0.9
# No rule looks further ahead.
_BEYOND = 32
_BEFORE_TO = frozenset(("next", "close", "adjacent", "opposite", "due", "closer", "nearer", "side"))
_NAMES_OR_VERBS = frozenset(("will", "may", "can"))


def closed_class(word: Word) -> str:
    """The class of a word for itself: a closed one, "word" for open ones, "hard" and "mark" for marks."""
    closed = _CLOSED.get(word.low, "")
    return closed or ("hard" if word.hard else "word" if word.is_word else "mark")


class Sentence:
    """The words of a whole prompt, each with its class: a closed one, "det", "word" for open ones, "mark", "hard"."""

    def __init__(self, words: list[Word]) -> None:
        self.words = words
        self.lows = [word.low for word in words] + [""] * _BEYOND
        content = [w for w in words if w.is_word and w.low[0].isalpha() and w.low not in _CLOSED]
        self.capitals_tell = sum(w.capital for w in content) < _TITLE_CASE * len(content)
        self.kinds = [self._kind_of(at) for at in range(len(words))] + ["end"] * _BEYOND
        self.phrases = self._adjectives_of_several_words()

    def _adjectives_of_several_words(self) -> set[int]:
        """The words of "35 years old", and of "run down" before a noun."""
        found: set[int] = set()
        for at in range(1, len(self.words)):
            low, before = self.lows[at], self.lows[at - 1]
            if low == "old" and before in ("year", "years") and self.lows[at - 2].isdigit() and at > 1:
                found |= {at - 2, at - 1, at}
            elif low in vocab.PARTICLES and f"{before} {low}" in vocab.WITH_PARTICLES and self.kinds[at + 1] == "word":
                found |= {at - 1, at}
        for at in found:
            self.kinds[at] = "word"
        return found

    def low(self, at: int) -> str:
        """The lower-case word, "" outside the prompt."""
        return self.lows[at]

    def kind(self, at: int) -> str:
        """The class of a word, "end" outside the prompt."""
        return self.kinds[at]

    def write(self, quoted: set[int]) -> None:
        """Take words for writing in the picture; quotes around an attribute mean nothing."""
        for at in quoted:
            self.kinds[at] = "other"

    def _kind_of(self, at: int) -> str:
        word = self.words[at]
        if word.low.isdigit():
            return "det"
        closed = _CLOSED.get(word.low, "")
        if word.low == "can" and self._is_a_can(at):
            return "word"
        if word.low == "to" and (self._before(at) in _BEFORE_TO or _CLOSED.get(self.low(at + 1)) == "det"):
            return "prep"
        if word.low in ("look", "looks") and self._is_a_look(at):
            return "word"
        if closed in ("verb", "prep") and word.low in _NAMES_OR_VERBS and self._part_of_name(at):
            return "word"
        return closed or closed_class(word)

    def _before(self, at: int) -> str:
        return self.words[at - 1].low if at else ""

    def _is_a_can(self, at: int) -> bool:
        if at and lexicon.is_phrase(self.low(at - 1), "can"):
            return True
        after = self.words[at + 1] if at + 1 < len(self.words) else None
        return after is None or not after.is_word or after.low in _CLOSED

    def _is_a_look(self, at: int) -> bool:
        """ "sultry look," before a mark or the end."""
        after = self.words[at + 1] if at + 1 < len(self.words) else None
        return at > 0 and (after is None or not after.is_word)

    def _part_of_name(self, at: int) -> bool:
        """ "Will" in "Will Smith"."""
        after = self.words[at + 1] if at + 1 < len(self.words) else None
        if not self.words[at].capital or after is None or not (after.is_word or after.low == ","):
            return False
        opens = at == 0 or self.words[at - 1].low in (",", "and", "of", "to")
        acts = after.low.endswith("ing") or _CLOSED.get(after.low) in ("hold", "with", "cop", "prep", "comma")
        return after.capital or (opens and acts)

    def capital(self, at: int) -> bool:
        """A word with a capital, where capitals tell names from other words."""
        return self.capitals_tell and at < len(self.words) and self.words[at].capital and self.words[at].is_word

    def unknown(self, at: int) -> bool:
        """A word that no list knows, in form of a noun: an invented or a foreign name."""
        known = lexicon.info(self.low(at))
        return self.kind(at) == "word" and not known.known and known.noun > 0

    def shade(self, at: int) -> bool:
        """ "light" in "light blue", "sky" in "sky blue hair"."""
        low = self.low(at)
        if self.low(at + 1) not in vocab.COLOURS or self.kind(at + 1) != "word":
            return False
        return (low in vocab.INTENSIFIERS or low in vocab.SHADES) and not self.fixed_name(at)

    def fixed_name(self, at: int) -> bool:
        """Whether a word and the next are the name of one thing: "teddy bear"."""
        low, after = self.low(at), self.low(at + 1)
        if not after or not lexicon.is_phrase(low, after):
            return False
        name = lexicon.name_with_flags(low, after)
        if name and (low not in vocab.HARD_ATTRIBUTES or lexicon.animate(name)):
            return True
        nominal = low not in vocab.HARD_ATTRIBUTES or low in vocab.NAMES_THINGS
        return nominal and (after not in vocab.HARD_ATTRIBUTES or after in vocab.ALSO_THINGS)

    def modifier(self, at: int) -> bool:
        """Whether a word describes a following noun rather than naming a thing."""
        low, info = self.low(at), lexicon.info(self.low(at))
        if at in self.phrases or low[:1] == "#":
            return True
        if low in vocab.HARD_ATTRIBUTES or low in vocab.SURFACES or self.shade(at):
            return True
        if low in vocab.QUALITY_ATTRIBUTES and info.noun <= 4:
            return True
        if low in vocab.ALSO_ADJECTIVES and self.kind(at + 1) == "word" and self.modifier(at + 1):
            return True
        after = lexicon.info(self.low(at + 1))
        if info.noun and low.endswith("ing") and not after.noun and after.verb > after.adjective:
            return False
        if info.attribute or info.adverb > info.noun or (low.endswith("ly") and not info.noun):
            return True
        return info.participle and info.verb > info.noun

    def noun_capable(self, at: int) -> bool:
        """Whether a word can name a thing."""
        low = self.low(at)
        if low in vocab.HARD_ATTRIBUTES and low not in vocab.ALSO_THINGS:
            return False
        return lexicon.info(low).noun > 0

    def leads_to_noun(self, at: int) -> bool:
        """Adjectives, joined or not, and then a noun, with no determiner between."""
        if not self.modifier(at):
            return False
        for i in range(at, min(at + 12, len(self.words))):
            kind = self.kind(i)
            if kind == "word" and not self.modifier(i):
                return lexicon.info(self.low(i)).noun > 0
            if kind not in ("word", "and") and self.low(i) != ",":
                return kind != "det" and self.noun_capable(i - 1) and i - at > 1
        return False
