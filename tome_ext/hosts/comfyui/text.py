"""ComfyUI's CLIP as the method needs it: where the words of a text stand, and what it is encoded to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tome_ext.hosts.common.text import Encoding, UnsupportedText
from tome_ext.method.backward.autograd import ordinary
from tome_ext.prompts.host_syntax.comfy import PREFIX, embeddings
from tome_ext.tokens import EOT, Chunk, Fix

# ComfyUI's names of CLIP-L, bigG and SD2's OpenCLIP; of several, the first one's tokens are taken.
_CLIP = ("l", "g", "h")

# One token as ComfyUI has it: its number or an embedding's vector, its weight, the number of its word.
_Row = Sequence[tuple[Any, float, int]]


def obstacle(clip: Any) -> str:
    """Why no text of this CLIP can be merged; empty where it can."""
    names = list(clip.tokenize(""))
    if set(names) <= set(_CLIP) and names:
        return ""
    return f"its text encoders ({', '.join(names)}) are not CLIP alone; ToMe is for Stable Diffusion 1.5, 2 and XL"


class ClipEncoder:
    """The text encoders of a CLIP. ``entry``: which of its conditionings counts, where hooks schedule several.

    ``made``: the texts encoded so far, shared by the encoders of all entries.
    """

    syntax = "comfy"

    def __init__(self, clip: Any, entry: int = 0, made: dict[str, Any] | None = None) -> None:
        self._clip, self._entry = clip, entry
        self._made: dict[str, Any] = {} if made is None else made
        names = clip.tokenize("")
        self._names = [name for name in _CLIP if name in names]

    @property
    def chunk_length(self) -> int:
        """The tokens of one chunk; LongCLIP has more than 77."""
        return len(self._clip.tokenize("")[self._names[0]][0])

    def chunks(self, text: str) -> Sequence[Any]:
        """The chunks of ``text``. Raises UnsupportedText where an embedding has no certain place."""
        found = self._clip.tokenize(text, return_word_ids=True)
        names = self._present(text)
        first, *others = ([_chunk(*row) for row in _rows(found[name], names)] for name in self._names)
        self._check_vectors(found)
        if any(_places(other) != _places(first) for other in others):
            raise UnsupportedText("the two text encoders have different tokens for this prompt (an embedding?)")
        return first

    def ids(self, text: str) -> Sequence[int]:
        """The tokens of ``text`` without start and end tokens and without any syntax."""
        return list(self._tokenizer(self._names[0]).tokenizer(text)["input_ids"])[1:-1]

    def encode(self, text: str) -> Encoding:
        """``text`` encoded alone, with the hooks of the CLIP."""
        entries = conditionings(self._clip, text, self._made)
        tokens, more = entries[min(self._entry, len(entries) - 1)]
        pooled = more.get("pooled_output")
        with ordinary():
            return Encoding(tokens[0].clone(), None if pooled is None else pooled[0].clone())

    def _tokenizer(self, name: str) -> Any:
        return getattr(self._clip.tokenizer, f"clip_{name}")

    def _present(self, text: str) -> list[str]:
        """The names of the embeddings in ``text``, all of which are there: the host drops those that are not."""
        names = embeddings(text)
        for name in dict.fromkeys(names):
            rows = self._clip.tokenize(f"{PREFIX}{name}")[self._names[0]]
            if not any(isinstance(token[0], torch.Tensor) for row in rows for token in row):
                raise UnsupportedText(f"there is no embedding {name!r}")
        return names

    def _check_vectors(self, found: Mapping[str, Sequence[_Row]]) -> None:
        """Vectors of another width are dropped by the host, which moves all tokens behind them."""
        for name in self._names:
            width = getattr(self._tokenizer(name), "embedding_size", None)
            for row in found[name]:
                for value, *_ in row:
                    if isinstance(value, torch.Tensor) and width is not None and value.shape[-1] != width:
                        raise UnsupportedText("an embedding was made for another model")


def conditionings(clip: Any, text: str, made: dict[str, Any] | None = None) -> list[Any]:
    """The host's own conditionings of ``text``: one, or several that hooks schedule. ``made``: those known already."""
    known = {} if made is None else made
    if text not in known:
        known[text] = clip.encode_from_tokens_scheduled(clip.tokenize(text))
    return list(known[text])


def _rows(rows: Sequence[_Row], names: Sequence[str]) -> list[tuple[_Row, list[tuple[int, int, str]]]]:
    """Each row of tokens with its embeddings: (position, vectors, name)."""
    left, out, words = list(names), [], set[int]()
    for row in rows:
        fixes: list[tuple[int, int, str]] = []
        last = -1
        for place, (value, _, word) in enumerate(row):
            if not isinstance(value, torch.Tensor):
                last = -1
            elif word == last:
                start, vectors, name = fixes[-1]
                fixes[-1] = (start, vectors + 1, name)
            elif word in words or not left:
                raise UnsupportedText("an embedding stands in two chunks")
            else:
                last = word
                words.add(word)
                fixes.append((place, 1, left.pop(0)))
        out.append((row, fixes))
    return out


def _chunk(row: _Row, fixes: Sequence[tuple[int, int, str]]) -> Chunk:
    tokens = tuple(0 if isinstance(value, torch.Tensor) else int(value) for value, *_ in row)
    weights = tuple(float(weight) for _, weight, _ in row)
    return Chunk(tokens, weights, tuple(Fix(place - 1, f"{PREFIX}{name}", vectors) for place, vectors, name in fixes))


def _places(chunks: Sequence[Chunk]) -> list[Any]:
    """What has to be alike in all text encoders: everything but the padding."""
    return [(chunk.tokens[: chunk.tokens.index(EOT) + 1], chunk.fixes, len(chunk.tokens)) for chunk in chunks]
