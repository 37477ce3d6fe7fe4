"""Which characters each token of a prompt stands for, checked against the host's own chunks.

The host splits a prompt into fragments of one weight and tokenizes each; the same is done here, word by word,
with the host's tokenizer. A token counts as placed only when the whole stream agrees with the chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tome_ext.prompts.host_syntax import Fragment, readings
from tome_ext.tokens.bpe import pieces
from tome_ext.tokens.chunks import Chunk
from tome_ext.tokens.vocabulary import EOT

Encode = Callable[[str], Sequence[int]]
Position = tuple[int, int]


@dataclass(frozen=True)
class Token:
    """A token and the typed characters ``start:end`` of the word it is a piece of; BREAK has the number -1."""

    number: int
    start: int
    end: int


@dataclass(frozen=True)
class Alignment:
    """The tokens of a prompt with their positions (none for tokens past the last chunk), and each chunk's EOT."""

    tokens: tuple[Token, ...]
    positions: tuple[tuple[Position, ...], ...]
    ends: tuple[int, ...]


def align(text: str, chunks: Sequence[Chunk], encode: Encode, syntax: str) -> Alignment | None:
    """The placed tokens of ``text``, or None when no reading of it gives the host's chunks."""
    known: dict[str, tuple[int, ...]] = {}

    def numbers(part: str) -> tuple[int, ...]:
        if part not in known:
            known[part] = tuple(int(t) for t in encode(part))
        return known[part]

    for reading in readings(text, syntax):
        stream = [token for fragment in reading for token in _fragment_tokens(fragment, numbers)]
        placed = _walk(stream, chunks, numbers)
        if placed is not None:
            return placed
    return None


def _fragment_tokens(fragment: Fragment, numbers: Callable[[str], tuple[int, ...]]) -> list[Token]:
    """The tokens of one fragment, each with the word it comes from, as finely as can be verified."""
    mapped = fragment.mapped
    if fragment.is_break:
        return [Token(-1, *mapped.typed(0, len(mapped.text)))]
    out: list[Token] = []
    for start, end in _refine(mapped.text, 0, len(mapped.text), numbers):
        if mapped.text[start:end].strip():
            place = mapped.typed(start, end)
            out += [Token(n, *place) for n in numbers(mapped.text[start:end])]
    return out


def _refine(text: str, start: int, end: int, numbers: Callable[[str], tuple[int, ...]]) -> list[tuple[int, int]]:
    """Split a piece into words, then into CLIP's pieces, where the parts have exactly the tokens of the whole."""
    blanks = [start, *(i for i in range(start + 1, end) if text[i - 1].isspace() and not text[i].isspace()), end]
    words = [(a, b) for a, b in pairwise(blanks) if a < b]
    if not _same(text, start, end, words, numbers):
        return [(start, end)]
    out: list[tuple[int, int]] = []
    for a, b in words:
        parts = [(a + i, a + j) for i, j in pieces(text[a:b])]
        out += parts if _same(text, a, b, parts, numbers) else [(a, b)]
    return out


def _same(
    text: str, start: int, end: int, parts: list[tuple[int, int]], numbers: Callable[[str], tuple[int, ...]]
) -> bool:
    return tuple(n for a, b in parts for n in numbers(text[a:b])) == numbers(text[start:end])


def _walk(stream: list[Token], chunks: Sequence[Chunk], numbers: Callable[[str], tuple[int, ...]]) -> Alignment | None:
    """Lay the stream over the chunks; None as soon as anything disagrees."""
    positions: list[tuple[Position, ...]] = []
    ends = [0] * len(chunks)
    fixes = [{f.offset + 1: f for f in chunk.fixes} for chunk in chunks]
    c, p = 0, 1
    k = 0
    while k < len(stream):
        if c >= len(chunks):
            # Cut off by a limit only where the last chunk is full; else these are the chunks of another text.
            if any(t.number != -1 for t in stream[k:]) and (not chunks or ends[-1] < len(chunks[-1].tokens) - 1):
                return None
            break
        tokens, number = chunks[c].tokens, stream[k].number
        fix = fixes[c].get(p)
        if fix is not None:
            name = numbers(fix.name)
            if not name or tuple(t.number for t in stream[k : k + len(name)]) != name:
                return None
            place = tuple((c, p + i) for i in range(fix.vectors))
            positions += [place] * len(name)
            k, p = k + len(name), p + fix.vectors
        elif number == -1 or p >= len(tokens) - 1 or tokens[p] != number or number == EOT:
            if not _padded(tokens, p):
                return None
            ends[c] = p
            c, p = c + 1, 1
            if number == -1:
                positions.append(())
                k += 1
        else:
            positions.append(((c, p),))
            k, p = k + 1, p + 1
    for rest in range(c, len(chunks)):
        if not _padded(chunks[rest].tokens, p):
            return None
        ends[rest], p = p, 1
    positions += [()] * (len(stream) - len(positions))
    return Alignment(tuple(stream), tuple(positions), tuple(ends))


def _padded(tokens: tuple[int, ...], at: int) -> bool:
    """Whether a chunk's text ends before ``at``: the end token there, then end tokens or zeros only."""
    return at < len(tokens) and tokens[at] == EOT and all(t in (EOT, 0) for t in tokens[at:])
