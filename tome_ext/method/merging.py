"""Token merging and end token substitution (docs/METHOD.md, "The four parts", 1 and 2).

Everything here works on the conditioning of one image: a tensor [T, D] of T = 77 · chunks encoded tokens.
Positions are flat: 77 · chunk + index in the chunk. Inputs are never modified. SDXL's two encoders need
nothing special: their outputs stand side by side in D and share their positions; only their padding
differs, and padding is always copied, never made up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tome_ext.tokens.vocabulary import CHUNK


@dataclass(frozen=True)
class Composite:
    """What one composite token is made of.

    ``position``: where it stands, the noun's first token. ``terms``: (weight, position) of every token of
    the prompt that enters it, its own position included; all of them are members and leave their places.
    ``outside``: (weight, embedding [D]) of words that are not in the prompt. Weights may be negative.
    ``share`` (0 … 1): how far its tokens are on the way from the prompt's own to this composite; below 1 the members
    keep their places.
    """

    position: int
    terms: tuple[tuple[float, int], ...]
    outside: tuple[tuple[float, Tensor], ...] = ()
    share: float = 1.0

    @property
    def members(self) -> frozenset[int]:
        """The positions that give up their place to the composite token."""
        return frozenset(position for _, position in self.terms) - {self.position}

    @property
    def removed(self) -> frozenset[int]:
        """The positions that leave the sequence, or become zero."""
        return self.members if self.share >= 1 else frozenset()


def composite_embedding(conditioning: Tensor, composite: Composite) -> Tensor:
    """The composite token ĉ = Σ w · c over its terms (paper, section 3.2), as [D], from ``conditioning`` [T, D]."""
    terms = [weight * conditioning[position] for weight, position in composite.terms]
    terms += [weight * vector.to(conditioning) for weight, vector in composite.outside]
    return torch.stack(terms).sum(0)


def merge(
    conditioning: Tensor, composites: Sequence[Composite], members: str = "close"
) -> tuple[Tensor, tuple[int, ...]]:
    """Put the composite tokens into ``conditioning`` [T, D] and take their members out.

    ``members`` = "close": within each chunk the sequence closes up and its last padding vector fills the
    end (paper). "zero": members become zero vectors where they stand (the authors' code). A composite with a
    ``share`` below 1 is interpolated, and so are its members, towards the padding or zero vector that would take their
    place: attention does not see where a token stands. Returns the merged conditioning [T, D] and the composites'
    positions in it.

    Raises ValueError when a position lies outside the conditioning or belongs to two composites.
    """
    _check(composites, len(conditioning))
    merged = conditioning.clone()
    for composite in composites:
        whole = composite_embedding(conditioning, composite)
        merged[composite.position] = _between(conditioning[composite.position], whole, composite.share)
        for member in sorted(composite.members - composite.removed):
            last = conditioning[min((member // CHUNK + 1) * CHUNK, len(conditioning)) - 1]
            instead = last if members == "close" else torch.zeros_like(last)
            merged[member] = _between(conditioning[member], instead, composite.share)
    removed = sorted(_removed(composites))
    if members == "zero":
        merged[removed] = 0
        return merged, tuple(composite.position for composite in composites)
    order = closed_up(len(conditioning), removed)
    return merged[order], tuple(order.index(composite.position) for composite in composites)


def closed_up(length: int, removed: Sequence[int]) -> list[int]:
    """The old position of every new position when ``removed`` ones leave; each chunk keeps its 77 places."""
    gone = set(removed)
    order: list[int] = []
    for start in range(0, length, CHUNK):
        stop = min(start + CHUNK, length)
        kept = [position for position in range(start, stop) if position not in gone]
        order += kept + [stop - 1] * (stop - start - len(kept))
    return order


def merged_ends(ends: Sequence[int], composites: Sequence[Composite], members: str = "close") -> tuple[int, ...]:
    """Where each chunk's EOT stands after :func:`merge`; ``ends`` are indices within the chunks, before it."""
    if members == "zero":
        return tuple(ends)
    removed = _removed(composites)
    return tuple(end - sum(position // CHUNK == chunk for position in removed) for chunk, end in enumerate(ends))


def substitute_end_tokens(
    conditioning: Tensor,
    ends: Sequence[int],
    clean: Tensor,
    clean_ends: Sequence[int],
    members: str = "close",
    share: float = 1.0,
    kept: Mapping[int, float] | None = None,
) -> Tensor:
    """Take the end tokens, EOT and padding, from the clean prompt (ETS; paper, section 3.2).

    ``conditioning`` [T, D] is merged already, ``clean`` [T', D] is the encoding of the clean prompt; ``ends``
    and ``clean_ends`` are the EOTs' indices within each chunk. A chunk takes its end tokens from the clean
    prompt's chunk of the same number, or its last where it has fewer. With ``members`` = "close" they run
    on from the clean prompt's EOT; with "zero" the sequence kept its length, so they are taken position by
    position (the authors' code). Where the clean chunk is too short, its last vector repeats. ``share`` (0 … 1): how
    far the end tokens are on the way from their own values to the clean prompt's; ``kept``: likewise for the positions
    of members that kept their places, which are on the way to the end tokens that would have closed up.
    """
    result = conditioning.clone()
    for chunk, end in enumerate(ends):
        source = min(chunk, len(clean_ends) - 1)
        tokens = clean[source * CHUNK : (source + 1) * CHUNK]
        first = clean_ends[source] if members == "close" else max(end, clean_ends[source])
        start = chunk * CHUNK + end
        stop = min((chunk + 1) * CHUNK, len(conditioning))
        index = torch.arange(first, first + stop - start, device=clean.device).clamp(max=len(tokens) - 1)
        result[start:stop] = _between(result[start:stop], tokens[index].to(result), share)
        for number, place in enumerate(sorted(p for p in kept or () if p // CHUNK == chunk)):
            tail = tokens[min(first + stop - start + number, len(tokens) - 1)].to(result)
            result[place] += share * (kept or {})[place] * (tail - conditioning[stop - 1])
    return result


def _between(own: Tensor, other: Tensor, share: float) -> Tensor:
    """``own`` at a ``share`` of 0, exactly ``other`` from 1 on."""
    return other if share >= 1 else own + share * (other - own)


def _removed(composites: Sequence[Composite]) -> frozenset[int]:
    return frozenset().union(*(composite.removed for composite in composites))


def _check(composites: Sequence[Composite], length: int) -> None:
    seen: set[int] = set()
    for composite in composites:
        own = composite.members | {composite.position}
        if min(own) < 0 or max(own) >= length:
            raise ValueError(f"positions {sorted(own)} do not lie within the {length} tokens of the conditioning")
        if seen & own:
            raise ValueError(f"positions {sorted(seen & own)} belong to two composite tokens")
        seen |= own
