"""How often a word is a noun, a verb, an adjective or an adverb, and what kind of thing a noun names.

The table in ``embedded/lexicon.txt.gz`` is derived from WordNet 3.0 (licence beside it) by
``tome_ext/embedded/make_lexicon.py``. ``embedded/things.txt`` says what the nouns of prompts name where WordNet's
first sense is another one. Both are read once, on first use.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tome_ext.prompts.lexicon import vocabulary as vocab

_FILE = Path(__file__).parents[2] / "embedded" / "lexicon.txt.gz"
_THINGS = _FILE.with_name("things.txt")


@dataclass(frozen=True)
class Info:
    """A word's classes: 0 = never, 1 = rarely … 9; ``flags`` as in ``tome_ext/embedded/make_lexicon.py``."""

    noun: int = 0
    verb: int = 0
    adjective: int = 0
    adverb: int = 0
    flags: str = ""
    plural: bool = False
    third: bool = False
    participle: bool = False
    known: bool = True
    listed: bool = False
    """Whether the very form is an adjective in WordNet ("glowing", not "chasing")."""

    @property
    def attribute(self) -> bool:
        """More an adjective than anything else."""
        return self.adjective > 0 and self.adjective >= self.noun


@dataclass(frozen=True)
class _Table:
    codes: dict[str, str]
    irregular: dict[str, tuple[str, ...]]
    phrases: frozenset[str]


@lru_cache(maxsize=1)
def _table() -> _Table:
    codes: dict[str, str] = {}
    irregular: dict[str, tuple[str, ...]] = {}
    phrases: frozenset[str] = frozenset()
    for line in gzip.decompress(_FILE.read_bytes()).decode().splitlines():
        code, words = line.split("\t")
        if code in ("=n", "=v"):
            for pair in words.split():
                form, lemma = pair.split(">")
                key = code[1] + form
                irregular[key] = (*irregular.get(key, ()), lemma)
        elif code == "+":
            phrases = frozenset(words.split())
        else:
            codes.update(dict.fromkeys(words.split(), code))
    return _Table(codes, irregular, phrases | _add_things(codes))


def _add_things(codes: dict[str, str]) -> set[str]:
    """Give the nouns of ``things.txt`` their flags; the fixed names among them."""
    names = set()
    for line in _THINGS.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        flags, words = line.split("\t")
        for word in words.split():
            counts = codes.get(word, "n2:").split(":")[0]
            codes[word] = f"{counts if 'n' in counts else 'n2' + counts}:{flags}"
            if "_" in word:
                names.add(word)
    return names


@lru_cache(maxsize=2048)
def _decode(code: str) -> Info:
    counts, flags = code.split(":")
    level = {counts[i]: int(counts[i + 1]) for i in range(0, len(counts), 2)}
    return Info(level.get("n", 0), level.get("v", 0), level.get("a", 0), level.get("r", 0), flags)


_NOUN_ENDINGS = (
    ("ies", "y"),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ves", "f"),
    ("ves", "fe"),
    ("s", ""),
)
_VERB_ENDINGS = (("ies", "y"), ("es", "e"), ("es", ""), ("s", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", ""))


def _lemmas(word: str, endings: tuple[tuple[str, str], ...]) -> list[str]:
    out = []
    for ending, instead in endings:
        if word.endswith(ending) and len(word) > len(ending) + 1:
            stem = word[: len(word) - len(ending)] + instead
            out.append(stem)
            if ending in ("ed", "ing") and not instead and len(stem) > 3 and stem[-1] == stem[-2]:
                out.append(stem[:-1])
    return out


@lru_cache(maxsize=32768)
def info(word: str) -> Info:
    """What is known of a lower-case word, inflected or not; unknown words are taken for nouns."""
    table = _table()
    own = _decode(table.codes[word]) if word in table.codes else Info(known=False)
    noun, verb, flags = own.noun, own.verb, own.flags
    plural = third = False
    known = own.known
    irregular = table.irregular.get("n" + word, ())
    for lemma in (*irregular, *_lemmas(word, _NOUN_ENDINGS)):
        if (word.endswith(("s", "men")) or lemma in irregular) and lemma in table.codes:
            base = _decode(table.codes[lemma])
            if base.noun and lemma != word:
                known, plural, noun = True, noun < base.noun or own.noun == 0, max(noun, base.noun)
                flags = flags + "".join(f for f in base.flags if f not in flags)
    for lemma in (*table.irregular.get("v" + word, ()), *_lemmas(word, _VERB_ENDINGS)):
        if lemma in table.codes:
            base = _decode(table.codes[lemma])
            if base.verb:
                known, verb = True, max(verb, base.verb)
                third = third or word.endswith("s")
    adjective = own.adjective
    if not known:
        return _guess(word)
    if word.endswith(("ed", "ing")) and not adjective and verb and not noun:
        adjective = 1
    participle = verb > 0 and own.verb == 0 and word.endswith(("ed", "ing"))
    return Info(noun, verb, adjective, own.adverb, flags, plural, third, participle, listed=own.adjective > 0)


def _guess(word: str) -> Info:
    """An unknown word, by its ending; compounds with a hyphen by their last part."""
    if "-" in word:
        last = word.rsplit("-", 1)[1]
        if last.endswith("ed") or last in vocab.HARD_ATTRIBUTES or last in ("style", "like", "free", "shaped", "toned"):
            return Info(adjective=5, known=False)
        if last and info(last).known:
            return info(last)
    if word.endswith("ly") and len(word) > 4:
        return Info(adverb=1, known=False)
    if word.endswith(("ish", "esque", "like")) and len(word) > 5:
        return Info(adjective=1, known=False)
    if word.endswith("ed") and len(word) > 4:
        return Info(adjective=1, verb=1, known=False)
    plural = word.endswith("s") and not word.endswith("ss")
    return Info(noun=1, known=False, plural=plural, flags="t")


def is_phrase(*words: str) -> bool:
    """Whether these words are a fixed name of a thing: "teddy bear", "swimming pool"."""
    phrases = _table().phrases
    name = "_".join(words)
    if name in phrases:
        return True
    return (name.endswith("s") and name[:-1] in phrases) or (name.endswith("es") and name[:-2] in phrases)


def name_with_flags(*words: str) -> str:
    """These words as one entry of ``things.txt`` ("hot_dog"), "" where they are none."""
    codes = _table().codes
    name = "_".join(words)
    return name if name in codes else name[:-1] if name.endswith("s") and name[:-1] in codes else ""


def animate(word: str) -> bool:
    """A person or an animal, or something a prompt treats like one."""
    return _flag(word, "p")


def handheld(word: str) -> bool:
    """Something that a person can hold, though it may look like a being: a doll, a bat."""
    return _flag(word, "i")


def carried(word: str) -> bool:
    """Something that people carry: a sword, a balloon."""
    return _flag(word, "c")


def wearable(word: str) -> bool:
    """Clothes, jewellery and what else is worn."""
    return _flag(word, "w")


def place(word: str) -> bool:
    """A room, a building, a landscape: something that other objects stand in."""
    return _flag(word, "l")


def part(word: str) -> bool:
    """A part of a body or of a thing: eyes, wheels, a roof."""
    return _flag(word, "b")


def body_part(word: str) -> bool:
    """A part of a person or an animal only: hair, eyes, a tail."""
    return _flag(word, "h")


def bulky(word: str) -> bool:
    """A vehicle or a piece of furniture."""
    return _flag(word, "v")


def visible(word: str) -> bool:
    """Something that can be drawn (unknown words count as such)."""
    flags = info(word).flags
    return bool(flags) and flags != "s"


def _flag(word: str, flag: str) -> bool:
    return flag in info(word).flags
