"""The spaCy parser on hand-annotated trees: no model is needed, only spaCy's Doc."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tome_ext.words import read_prompt, spacy_parser

spacy_tokens = pytest.importorskip("spacy.tokens", reason="spaCy is not installed")
spacy_vocab = pytest.importorskip("spacy.vocab", reason="spaCy is not installed")

POS = {"NN": "NOUN", "NNS": "NOUN", "NNP": "PROPN", "JJ": "ADJ", "JJS": "ADJ", "RB": "ADV", "DT": "DET", "IN": "ADP"}
POS |= {"CC": "CCONJ", "CD": "NUM", ",": "PUNCT", "PRP": "PRON", "PRP$": "PRON", "WDT": "PRON", "WP": "PRON"}
SMALL = {"a", "an", "the", "with", "wearing", "that", "is"}


def sentences() -> list[tuple[str, str]]:
    lines = Path(__file__).with_name("spacy_sentences.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("=>") for line in lines if line and not line.startswith("#")]
    return [(tree.strip(), expected.strip()) for tree, expected in pairs]


def doc_of(tree: str) -> Any:
    fields = [word.rsplit("/", 3) for word in tree.split()]
    words = [f[0] for f in fields]
    spaces = [after not in (",", "'s") for after in [*words[1:], ""]]
    return spacy_tokens.Doc(
        spacy_vocab.Vocab(),
        words=words,
        spaces=spaces,
        tags=[f[1] for f in fields],
        pos=[POS.get(f[1], "AUX" if f[0] in ("is", "was", "has") else "VERB") for f in fields],
        deps=[f[2] for f in fields],
        heads=[int(f[3]) - 1 if int(f[3]) else k for k, f in enumerate(fields)],
    )


def said(reading: Any) -> list[str]:
    out = []
    for group in reading.groups:
        related = [s.text for s in group.related if s.text not in SMALL]
        out.append(f"{group.noun.text}: {' '.join(related + ['+' + t.text for t in group.extra])}")
    return out


def wanted(expected: str) -> list[str]:
    groups = [part.strip().split(": ") for part in expected.split(";") if part.strip()]
    return [f"{n}: {' '.join(w for w in words.split() if w not in SMALL)}" for n, words in groups]


def test_there_are_at_least_sixty_sentences():
    assert len(sentences()) >= 60


@pytest.mark.parametrize(("tree", "expected"), sentences())
def test_the_tree_gives_exactly_these_groups(tree, expected, monkeypatch):
    doc = doc_of(tree)
    monkeypatch.setattr(spacy_parser, "load", lambda: (lambda text: doc, ""))
    reading = read_prompt(doc.text, parser="spacy")
    assert reading.parser == "spacy"
    assert said(reading) == wanted(expected)


@pytest.mark.parametrize(("tree", "expected"), sentences())
def test_the_built_in_parser_reads_them_alike(tree, expected):
    assert said(read_prompt(doc_of(tree).text, parser="builtin")) == wanted(expected)
