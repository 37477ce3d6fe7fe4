"""The place of each noun phrase in its clause, and what a negation covers."""

from __future__ import annotations

from tome_ext.prompts.builtin.items import Item
from tome_ext.prompts.lexicon import vocabulary as vocab

_CLAUSES = frozenset({"as", "while", "when", "because", "if", "but", "so", "although", "though", "where", "then"})
_NEUTRAL = frozenset({"adj", "other", "neg"})


def assign_roles(items: list[Item]) -> None:
    """Set the ``role`` of every noun phrase: what stands before it says so."""
    expected, last = "subject", None
    for at, item in enumerate(items):
        if item.kind == "np":
            item.role = expected
            if expected == "of" and last is not None and last.low in vocab.SAY_OF:
                item.role = last.role
            last, expected = item, "subject"
        elif item.kind == "prep" and item.low in _CLAUSES:
            expected = "subject"
        elif item.kind == "prep":
            expected = "of" if item.low == "of" else "place"
        elif item.kind in ("verb", "hold", "dressed", "with", "have"):
            expected = "object"
        elif item.kind == "and":
            inherits = last is not None and at > 0 and items[at - 1].kind == "np" and not _opens_clause(items, at + 1)
            expected = last.role if inherits and last is not None else "subject"
        elif item.kind not in _NEUTRAL:
            expected = "subject"


def _opens_clause(items: list[Item], at: int) -> bool:
    """Whether a noun phrase after "and" is what the next words are about ("and a heart with boots")."""
    if at + 1 >= len(items) or items[at].kind != "np":
        return True
    if items[at].name:
        return True
    return items[at + 1].kind in ("hold", "dressed", "with", "cop", "rel", "have") or items[at + 1].low == "in"


def apply_negations(items: list[Item]) -> list[Item]:
    """Turn what a negation covers into plain words; its noun phrases, to be named as left alone."""
    denied: list[Item] = []
    at = 0
    while at < len(items):
        if items[at].kind == "neg":
            if at and items[at - 1].kind in ("with", "have", "cop"):
                items[at - 1].kind = "other"
            at = _deny(items, at + 1, denied)
        else:
            at += 1
    return denied


def _deny(items: list[Item], at: int, denied: list[Item]) -> int:
    """Take away what follows a negation up to its noun phrase, and those joined by "or"; the place after it."""
    while at < len(items) and items[at].kind in (
        "hold",
        "dressed",
        "have",
        "with",
        "cop",
        "verb",
        "adj",
        "prep",
        "other",
    ):
        if items[at].kind == "adj":
            items[at].parsed = None
        items[at].kind = "other"
        at += 1
    while at < len(items) and items[at].kind == "np":
        denied.append(items[at])
        items[at].kind = "denied"
        goes_on = at + 2 < len(items) and items[at + 1].kind == "and" and items[at + 2].kind == "np"
        if not goes_on or not (items[at + 1].low == "or" or items[at + 2].bare):
            return at + 1
        at += 2
    return at
