"""Questions about single tokens of a spaCy tree."""

from __future__ import annotations

from typing import Any

from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab


def children_of(token: Any, labels: tuple[str, ...]) -> list[Any]:
    """The children with one of these labels."""
    return [c for c in token.children if c.dep_ in labels]


def object_children(token: Any, labels: tuple[str, ...]) -> list[Any]:
    """The children with one of these labels that are things."""
    return [c for c in children_of(token, labels) if is_object(c) or lexicon.wearable(c.text.lower())]


def subtree(token: Any) -> list[int]:
    """The token numbers of a token and all below it."""
    return [t.i for t in token.subtree]


def is_word(token: Any) -> bool:
    """Whether a token is a word, not a mark."""
    return bool(token.text) and (token.text[0].isalnum())


def is_object(token: Any) -> bool:
    """A noun that stands for a thing of its own, not the first part of a compound."""
    if token.dep_ in ("compound", "nmod", "npadvmod", "poss", "amod") and token.head.i != token.i:
        return False
    return token.tag_ in ("NN", "NNS", "NNP", "NNPS") or token.pos_ in ("NOUN", "PROPN")


def is_somebody(token: Any) -> bool:
    """A person, an animal or a name."""
    low = token.text.lower()
    return lexicon.animate(low) or token.pos_ == "PROPN" or not lexicon.info(low).known


def is_negated(verb: Any) -> bool:
    """ "is not", "never wearing"."""
    return any(c.dep_ == "neg" or c.text.lower() in vocab.NEGATIONS for c in verb.children)


def is_denied(token: Any) -> bool:
    """A thing that the prompt denies: "no hat", "without a hat", "not wearing a hat"."""
    now = token
    for _ in range(8):
        if is_negated(now):
            return True
        if now.head.i == now.i or now.dep_ not in ("pobj", "prep", "dobj", "obj", "conj", "amod", "acl", "relcl"):
            return False
        if now.dep_ == "conj" and any(c.dep_ == "det" for c in now.children):
            return False
        now = now.head
        if now.text.lower() in vocab.NEGATIONS:
            return True
        if is_object(now):
            return False
    return False


def is_attribute(token: Any) -> bool:
    """Whether a word before a noun describes it: by tag, or a colour, material, shape or size whatever its tag."""
    low = token.text.lower()
    if low in vocab.HARD_ATTRIBUTES:
        named = lexicon.is_phrase(low, token.head.text.lower())
        named = named or any(lexicon.is_phrase(c.text.lower(), low) for c in children_of(token, ("compound",)))
        return not (low in vocab.NAMES_THINGS and named)
    return token.tag_ in ("JJ", "JJR", "JJS", "VBN", "VBG", "RB")


def is_placed(token: Any) -> bool:
    """ "on it", "behind it": what is there is no part of it."""
    preps = [*children_of(token, ("prep",)), *children_of(token.head.head, ("prep",))]
    return any(c.text.lower() in ("it", "them") for p in preps if p.i > token.i for c in p.children)


def animate_above(token: Any) -> Any | None:
    """The nearest person or animal on the way to the root."""
    now = token
    for _ in range(64):
        if now.head.i == now.i:
            return None
        now = now.head
        if is_object(now) and lexicon.animate(now.text.lower()):
            return now
        for subject in children_of(now, ("nsubj", "nsubjpass")):
            if lexicon.animate(subject.text.lower()):
                return subject
    return None


def credited(doc: Any) -> set[int]:
    """Tokens that name artists and styles: "by …" (not "surrounded by …"), "in the style of …"."""
    out: set[int] = set()
    for token in doc:
        low = token.text.lower()
        by = low == "by" and not (token.i and doc[token.i - 1].text.lower().endswith("ed"))
        style = low == "of" and token.i > 0 and doc[token.i - 1].text.lower() in ("style", "aesthetic")
        if by or style:
            for after in range(token.i, len(doc)):
                if doc[after].text in (",", ".", ";"):
                    break
                out.add(after)
    return out
