"""The spaCy parser on hand-annotated trees: on spaCy's own Doc where it is installed, and on a stand-in for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tome_ext.prompts import read_prompt
from tome_ext.prompts.spacy_parser import load as spacy_parser
from tome_ext.research.parser_accuracy import same_clean

POS = {"NN": "NOUN", "NNS": "NOUN", "NNP": "PROPN", "JJ": "ADJ", "JJS": "ADJ", "RB": "ADV", "DT": "DET", "IN": "ADP"}
POS |= {"CC": "CCONJ", "CD": "NUM", ",": "PUNCT", "PRP": "PRON", "PRP$": "PRON", "WDT": "PRON", "WP": "PRON"}
SMALL = {"a", "an", "the", "with", "wearing", "that", "is"}


def sentences() -> list[tuple[str, str]]:
    lines = Path(__file__).with_name("spacy_sentences.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("=>") for line in lines if line and not line.startswith("#")]
    return [(tree.strip(), expected.strip()) for tree, expected in pairs]


@dataclass
class Token:
    """What the parser uses of a spaCy token."""

    doc: list[Token]
    i: int
    idx: int
    text: str
    tag_: str
    pos_: str
    dep_: str
    at: int

    @property
    def head(self) -> Token:
        return self.doc[self.at]

    @property
    def children(self) -> list[Token]:
        return [t for t in self.doc if t.at == self.i and t is not self]

    @property
    def subtree(self) -> list[Token]:
        below = [t for child in self.children for t in child.subtree]
        return sorted([self, *below], key=lambda t: t.i)


def fields_of(tree: str) -> tuple[list[str], list[bool], list[str], list[str], list[str], list[int]]:
    """Words, spaces after them, tags, parts of speech, labels and heads."""
    fields = [word.rsplit("/", 3) for word in tree.split()]
    words = [f[0] for f in fields]
    spaces = [after not in (",", "'s", "") for after in [*words[1:], ""]]
    pos = [POS.get(f[1], "AUX" if f[0] in ("is", "was", "has") else "VERB") for f in fields]
    heads = [int(f[3]) - 1 if int(f[3]) else k for k, f in enumerate(fields)]
    return words, spaces, [f[1] for f in fields], pos, [f[2] for f in fields], heads


def text_of(tree: str) -> str:
    words, spaces, *_ = fields_of(tree)
    return "".join(word + " " * space for word, space in zip(words, spaces, strict=True))


def stand_in(tree: str) -> Any:
    doc: list[Token] = []
    idx = 0
    for k, (word, space, tag, pos, dep, head) in enumerate(zip(*fields_of(tree), strict=True)):
        doc.append(Token(doc, k, idx, word, tag, pos, dep, head))
        idx += len(word) + space
    return doc


def spacy_doc(tree: str) -> Any:
    tokens = pytest.importorskip("spacy.tokens", reason="spaCy is not installed")
    vocab = pytest.importorskip("spacy.vocab", reason="spaCy is not installed")
    words, spaces, tags, pos, deps, heads = fields_of(tree)
    return tokens.Doc(vocab.Vocab(), words=words, spaces=spaces, tags=tags, pos=pos, deps=deps, heads=heads)


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


@pytest.mark.parametrize("make", [stand_in, spacy_doc])
@pytest.mark.parametrize(("tree", "expected"), sentences())
def test_the_tree_gives_exactly_these_groups(tree, expected, make, monkeypatch):
    doc = make(tree)
    monkeypatch.setattr(spacy_parser, "load", lambda: (lambda text: doc, ""))
    reading = read_prompt(text_of(tree), parser="spacy")
    assert reading.parser == "spacy"
    assert said(reading) == wanted(expected)
    assert same_clean(reading.clean, read_prompt(text_of(tree), parser="builtin").clean)


@pytest.mark.parametrize(("tree", "expected"), sentences())
def test_the_built_in_parser_reads_them_alike(tree, expected):
    assert said(read_prompt(text_of(tree), parser="builtin")) == wanted(expected)


def test_spans_follow_the_typed_text_through_host_syntax(monkeypatch):
    tree = "a/DT/det/3 red/JJ/amod/3 book/NN/ROOT/0"
    monkeypatch.setattr(spacy_parser, "load", lambda: (lambda text: stand_in(tree), ""))
    text = "a ((red:1.2)) [book]"
    (group,) = read_prompt(text, parser="auto").groups
    assert (group.noun.start, group.related[0].start, group.phrase) == (15, 4, "a red book")
