"""Token chunks as the hosts make them: one record for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tome_ext.tokens.vocabulary import EOT


@dataclass(frozen=True)
class Fix:
    """Vectors of an embedding: ``offset`` counts from the chunk's first token after the start token."""

    offset: int
    name: str
    vectors: int


@dataclass(frozen=True)
class Chunk:
    """One piece of 77 tokens, start and end tokens included; ``multipliers`` are the weights of emphasis."""

    tokens: tuple[int, ...]
    multipliers: tuple[float, ...] = ()
    fixes: tuple[Fix, ...] = ()


def chunk_of(value: Any) -> Chunk:
    """A :class:`Chunk` from what a host has: its chunk object, a recorded dict, or a plain list of token ids.

    Objects and dicts have ``tokens``, ``multipliers`` and ``fixes``; a fix is ``(offset, name, vectors)`` or has
    ``offset`` and ``embedding`` (with ``name`` and ``vectors``), as in the WebUI.
    """
    if isinstance(value, Chunk):
        return value
    if isinstance(value, dict):
        tokens, multipliers, fixes = value["tokens"], value.get("multipliers", ()), value.get("fixes", ())
    elif hasattr(value, "tokens"):
        tokens = value.tokens
        multipliers, fixes = getattr(value, "multipliers", ()), getattr(value, "fixes", ())
    else:
        tokens, multipliers, fixes = value, (), ()
    return Chunk(tuple(int(t) for t in tokens), tuple(float(m) for m in multipliers), tuple(map(_fix_of, fixes)))


def _fix_of(value: Any) -> Fix:
    embedding = getattr(value, "embedding", None)
    if embedding is not None:
        return Fix(int(value.offset), str(embedding.name), int(embedding.vectors))
    offset, name, vectors = value
    return Fix(int(offset), str(name), int(vectors))


def chunks_of_ids(input_ids: Iterable[Any]) -> list[Chunk]:
    """Chunks from a tokenizer's ``input_ids`` of one prompt: one list of ids, or several (long prompts)."""
    rows = input_ids.tolist() if hasattr(input_ids, "tolist") else list(input_ids)
    if rows and not isinstance(rows[0], Sequence):
        rows = [rows]
    return [chunk_of(row) for row in rows]


def first_eot(chunk: Chunk, eot: int = EOT) -> int:
    """The position of the first end token; the last position where there is none."""
    return next((k for k, t in enumerate(chunk.tokens) if k and t == eot), max(len(chunk.tokens) - 1, 0))
