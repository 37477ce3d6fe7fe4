"""Token positions of the groups of a prompt."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tome_ext.prompts.groups import Group, Reading, Span, Term
from tome_ext.tokens.align import Alignment, Encode, Position, align
from tome_ext.tokens.chunks import chunk_of, first_eot


@dataclass(frozen=True)
class LocatedGroup:
    """A group with its positions ``(chunk, index in the chunk)``: a word of several tokens has several.

    ``related[i]`` and ``extra[i]`` belong to ``group.related[i]`` and ``group.extra[i]``; a term from outside the
    prompt has no positions and is encoded on its own.
    """

    group: Group
    noun: tuple[Position, ...]
    related: tuple[tuple[Position, ...], ...]
    extra: tuple[tuple[Position, ...], ...] = ()

    @property
    def positions(self) -> tuple[Position, ...]:
        """All positions of the group, the noun's first."""
        parts = (self.noun, *self.related, *self.extra)
        return tuple(p for part in parts for p in part)


@dataclass(frozen=True)
class Located:
    """Where the groups of one prompt stand. ``ends[c]`` is the position of chunk c's first end token (EOT)."""

    groups: tuple[LocatedGroup, ...]
    ends: tuple[int, ...]
    warnings: tuple[str, ...] = ()


def locate(reading: Reading, chunks: Sequence[Any], encode: Encode, *, syntax: str = "a1111") -> Located:
    """Find the tokens of each group of ``reading`` in the host's ``chunks``.

    ``chunks``: the host's own for this very text: WebUI chunk objects, recorded dicts (tokens, multipliers, fixes) or
    lists of token ids (diffusers). ``encode(text)``: the host's tokenizer without start and end tokens.
    ``syntax``: the prompt language: "a1111", "comfy", or "plain" where the host reads none (diffusers).
    A group with a word whose tokens cannot be told for certain is left out, and a warning says so.
    """
    records = [chunk_of(c) for c in chunks]
    alignment = align(reading.text, records, encode, syntax)
    if alignment is None:
        ends = tuple(first_eot(c) for c in records)
        reason = "the prompt's tokens are not those of the host; no object is bound"
        return Located((), ends, (reason,) if reading.groups else ())
    finder = _Finder(alignment)
    found, warnings = [], []
    for group in reading.groups:
        try:
            found.append(finder.group(group))
        except LookupError as problem:
            warnings.append(f"{group.noun.text!r} is not bound: {problem.args[0]}")
    return _without_clashes(found, alignment.ends, warnings)


class _Finder:
    """Looks up spans in an alignment."""

    def __init__(self, alignment: Alignment) -> None:
        self.tokens = alignment.tokens
        self.positions = alignment.positions
        self.starts = [t.start for t in alignment.tokens]
        self.widest = max((t.end - t.start for t in alignment.tokens), default=0)

    def group(self, group: Group) -> LocatedGroup:
        return LocatedGroup(
            group,
            self.span(group.noun),
            tuple(self.span(s) for s in group.related),
            tuple(self.term(t) for t in group.extra),
        )

    def term(self, term: Term) -> tuple[Position, ...]:
        return self.span(term.span) if term.span is not None else ()

    def span(self, span: Span) -> tuple[Position, ...]:
        """Positions of a span; LookupError with the reason where they are not certain."""
        out: list[Position] = []
        covered = 0
        first = bisect_left(self.starts, span.start - self.widest)
        for k in range(first, bisect_left(self.starts, span.end)):
            token, places = self.tokens[k], self.positions[k]
            if token.end <= span.start or token.number < 0:
                continue
            if token.start < span.start or token.end > span.end:
                raise LookupError(f"the tokens of {span.text!r} belong to other words, too")
            if not places:
                raise LookupError(f"{span.text!r} is past the tokenizer's limit")
            covered += 1
            out += [p for p in places if p not in out]
        if not covered:
            raise LookupError(f"{span.text!r} has no tokens")
        return tuple(out)


def _without_clashes(found: list[LocatedGroup], ends: tuple[int, ...], warnings: list[str]) -> Located:
    """Leave out groups that claim a position twice or claim the same position as another."""
    uses = Counter(p for g in found for p in g.positions)
    kept = []
    for group in found:
        if any(uses[p] > 1 for p in group.positions):
            warnings.append(f"{group.group.noun.text!r} is not bound: it shares a token with another word")
        else:
            kept.append(group)
    return Located(tuple(kept), ends, tuple(warnings))
