"""ComfyUI's prompt language: weights in round brackets, and ``embedding:name``."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from tome_ext.prompts.host_syntax.mapped import Fragment, Mapped, joined

PREFIX = "embedding:"

_ESCAPED = re.compile(r"\\(?=[()])")
# An embedding begins a fragment or follows a blank or line break, which goes with it.
_EMBEDDING = re.compile(r"(?:\A|[ \n])embedding:(\s*\S+)")
# Brackets nested deeper stay as they are; the host itself gives up on a thousand.
_DEEPEST = 100


def fragments(mapped: Mapped) -> list[Fragment]:
    """The host's fragments (its ``token_weights``), each with its offsets, and embeddings as fragments of their own."""
    bare, mask = _unescaped(mapped)
    out: list[Fragment] = []
    for start, end, weight in _weighted(mask, 0, len(mask), 1.0, 0):
        out += [Fragment(part, weight) for part in _split(bare[start:end]) if part.text]
    return out


def plain_text(text: str) -> Mapped:
    """What the words of a typed text say; of an embedding its name, the first letter of which stands for the prefix.

    The blanks around an embedding become commas: it may be anything, so that it belongs to no word by itself.
    """
    parts: list[Mapped] = []
    after = False
    for fragment in fragments(Mapped.of(text)):
        piece, named = fragment.mapped, is_embedding(fragment.mapped.text)
        if named and parts and parts[-1].text.endswith(" "):
            parts[-1] = Mapped(f"{parts[-1].text[:-1]},", parts[-1].offsets)
        if after and piece.text.startswith(" "):
            piece = Mapped(f",{piece.text[1:]}", piece.offsets)
        parts.append(_named(piece) if named else piece)
        after = named
    return joined(parts)


def embeddings(text: str) -> list[str]:
    """The names of the embeddings in a typed text, in their order."""
    found = (fragment.mapped.text for fragment in fragments(Mapped.of(text)))
    return [name.removeprefix(PREFIX) for name in found if is_embedding(name)]


def is_embedding(fragment: str) -> bool:
    """Whether the text of a fragment names an embedding."""
    return len(fragment) > len(PREFIX) and fragment.startswith(PREFIX)


def _unescaped(mapped: Mapped) -> tuple[Mapped, str]:
    """The text without the backslashes of escaped brackets, and the same with a mask in place of these brackets."""
    at = [m.start() for m in _ESCAPED.finditer(mapped.text)]
    bare = mapped.without([(place, place + 1) for place in at])
    mask = list(bare.text)
    for number, place in enumerate(at):
        mask[place - number] = "\0"
    return bare, "".join(mask)


def _weighted(mask: str, start: int, end: int, weight: float, depth: int) -> Iterator[tuple[int, int, float]]:
    """Pieces of one weight: a number in brackets is the weight itself, brackets without one multiply it by 1.1."""
    for a, b in _items(mask, start, end):
        if b - a < 2 or mask[a] != "(" or mask[b - 1] != ")" or depth >= _DEEPEST:
            yield a, b, weight
            continue
        a, b, inner = a + 1, b - 1, weight * 1.1
        colon = mask.rfind(":", a, b)
        if colon > a:
            with contextlib.suppress(ValueError):
                inner, b = float(mask[colon + 1 : b]), colon
        yield from _weighted(mask, a, b, inner, depth + 1)


def _items(mask: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Bracketed pieces and what stands between them, as the host's ``parse_parentheses`` counts brackets."""
    level, begin = 0, start
    for place in range(start, end):
        if mask[place] == "(":
            if level == 0 and place > begin:
                yield begin, place
                begin = place
            level += 1
        elif mask[place] == ")":
            level -= 1
            if level == 0:
                yield begin, place + 1
                begin = place + 1
    if begin < end:
        yield begin, end


def _split(piece: Mapped) -> Iterator[Mapped]:
    """A piece of one weight, cut before and behind each embedding."""
    at = 0
    for m in _EMBEDDING.finditer(piece.text):
        name = m.end() - len(m.group(1)) + len(m.group(1).rstrip(",")) if m.group(1).strip(",") else m.end()
        begin = m.start() + m.group().index(PREFIX)
        yield piece[at:begin]
        yield piece[begin:name]
        at = name
    yield piece[at : len(piece.text)]


def _named(piece: Mapped) -> Mapped:
    """An embedding's name without its prefix, which its first letter stands for."""
    if not is_embedding(piece.text):
        return piece
    name = piece[len(PREFIX) : len(piece.text)]
    blank = len(name.text) - len(name.text.lstrip())
    name = name[blank : len(name.text)]
    return Mapped(name.text, (piece.offsets[0], *name.offsets[1:]))
