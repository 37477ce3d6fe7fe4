"""Captions as token ids, and ids as encodings, the way SDXL's pipeline makes them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tome_ext.research.miniature.world.captions import vocabulary
from tome_ext.research.training.text import END, LENGTH, START


@cache
def word_ids() -> dict[str, tuple[int, ...]]:
    """The tokens of every word that captions hold."""
    from tome_ext.embedded.random_model import clip_tokenizer

    tokenizer = clip_tokenizer()
    return {word: tuple(tokenizer(word, add_special_tokens=False).input_ids) for word in vocabulary()}


@cache
def used_ids() -> tuple[int, ...]:
    """All tokens that captions hold, start, end and padding among them, in order."""
    return tuple(sorted({token for tokens in word_ids().values() for token in tokens} | {START, END, 0}))


@cache
def _places() -> Tensor:
    found = torch.zeros(END + 1, dtype=torch.long)
    found[list(used_ids())] = torch.arange(len(used_ids()))
    return found


def compact(ids: Tensor) -> Tensor:
    """CLIP's ids as places among :func:`used_ids`, for encoders that know no others."""
    return _places()[ids]


def tokenize(words: Sequence[str]) -> list[int]:
    """The ids of a caption with start and end tokens, without padding."""
    known = word_ids()
    return [START, *[token for word in words for token in known[word]][: LENGTH - 2], END]


def padded(rows: Sequence[Sequence[int]], length: int = LENGTH) -> tuple[Tensor, Tensor, Tensor]:
    """The ids for both encoders [N, length], the first padded with EOT and the second with "!", and the EOTs [N]."""
    first = np.full((len(rows), length), END, np.int64)
    second = np.zeros((len(rows), length), np.int64)
    for number, row in enumerate(rows):
        first[number, : len(row)] = second[number, : len(row)] = row
    return torch.from_numpy(first), torch.from_numpy(second), torch.tensor([len(row) - 1 for row in rows])


@torch.no_grad()
def encode_words(encoders: Sequence[Any], captions: Sequence[Sequence[str]], batch: int = 64) -> tuple[Tensor, Tensor]:
    """Conditioning [N, 77, D] and pooled vectors [N, P] of captions, by encoders with CLIP's whole vocabulary."""
    contexts, vectors = [], []
    device = next(encoders[0].parameters()).device
    for start in range(0, len(captions), batch):
        first, second, _ = padded([tokenize(words) for words in captions[start : start + batch]])
        one = encoders[0](first.to(device), output_hidden_states=True).hidden_states[-2]
        two = encoders[1](second.to(device), output_hidden_states=True)
        contexts.append(torch.cat([one, two.hidden_states[-2]], -1))
        vectors.append(two.text_embeds)
    return torch.cat(contexts), torch.cat(vectors)
