"""Binding groups from spaCy's dependency trees, where a model is installed.

Nothing here imports spaCy before :func:`load` is called; :func:`parse` works on any callable that gives a Doc.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from typing import Any

from tome_ext.prompts.builtin.not_objects import why_not
from tome_ext.prompts.parsed import ParsedObject
from tome_ext.prompts.spacy_parser.tree import analyse
from tome_ext.prompts.words import Word, split_words

MODELS = ("en_core_web_trf", "en_core_web_lg", "en_core_web_md", "en_core_web_sm")
_LONGEST = 20_000
_lock = threading.Lock()
_loaded: list[tuple[Callable[[str], Any] | None, str]] = []


def load() -> tuple[Callable[[str], Any] | None, str]:
    """The spaCy pipeline, loaded once, and why there is none otherwise."""
    with _lock:
        if not _loaded:
            _loaded.append(_load())
        return _loaded[0]


def model() -> str:
    """The name and version of the model that :func:`load` gives, such as "en_core_web_sm 3.7.1"; empty without one."""
    meta = getattr(load()[0], "meta", {})
    named = [f"{meta[key]}" for key in ("lang", "name", "version") if key in meta]
    return f"{named[0]}_{named[1]} {named[2]}" if len(named) == 3 else ""


def _find(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _load() -> tuple[Callable[[str], Any] | None, str]:
    if not _find("spacy"):
        return None, "spaCy is not installed"
    problem = f"no English spaCy model is installed ({', '.join(reversed(MODELS))})"
    for model in MODELS:
        if not _find(model):
            continue
        try:
            import spacy

            return spacy.load(model, exclude=["ner"]), ""
        except Exception as error:
            # A broken or unfitting installation must not stop image generation.
            problem = f"the spaCy model {model} does not load ({type(error).__name__}: {error})"
    return None, problem


def parse(nlp: Callable[[str], Any], text: str) -> tuple[list[Word], list[ParsedObject]]:
    """The words of a plain text and its objects, as :func:`tome_ext.prompts.builtin.parser.parse` gives them."""
    words = split_words(text)
    objects: list[ParsedObject] = []
    for start, end in _pieces(text):
        doc = nlp(text[start:end])
        places = _word_of_token(doc, words, start)
        objects += [m for m in (_mapped(m, places) for m in analyse(doc)) if m is not None]
    for found in objects:
        found.reason = why_not(words, found)
    return words, objects


def _pieces(text: str) -> list[tuple[int, int]]:
    """Paragraphs (BREAK and AND are line breaks), cut where they are longer than a model should get at once."""
    out: list[tuple[int, int]] = []
    at = 0
    for line in text.split("\n"):
        for start in range(0, len(line), _LONGEST):
            if line[start : start + _LONGEST].strip():
                out.append((at + start, at + min(start + _LONGEST, len(line))))
        at += len(line) + 1
    return out


def _word_of_token(doc: Any, words: list[Word], offset: int) -> dict[int, list[int]]:
    """For each spaCy token the words that it overlaps."""
    out: dict[int, list[int]] = {}
    k = 0
    for token in doc:
        start, end = offset + token.idx, offset + token.idx + len(token.text)
        while k and words[min(k, len(words) - 1)].start > start:
            k -= 1
        while k < len(words) and words[k].end <= start:
            k += 1
        hits, j = [], k
        while j < len(words) and words[j].start < end:
            hits.append(j)
            j += 1
        out[token.i] = hits
    return out


def _mapped(found: ParsedObject, places: dict[int, list[int]]) -> ParsedObject | None:
    """A found in word numbers; None where spaCy's tokens cut words in another way."""
    used: set[int] = set()

    def words_of(tokens: list[int]) -> list[int]:
        out = [w for t in sorted(tokens) for w in places[t] if w not in used]
        used.update(out)
        return sorted(set(out))

    noun = words_of(found.noun)
    related = words_of(found.related)
    if not noun or noun != list(range(noun[0], noun[-1] + 1)):
        return None
    shared = sorted({w for t in found.shared for w in places[t]})
    return ParsedObject(noun, related, words_of(found.dropped), words_of(found.kept), shared)
