"""Captions as token ids, with the tokens of each thing: quick, because every word is looked up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from tome_ext.research.world.captions import Caption, vocabulary
from tome_ext.tokens.vocabulary import BOS, CHUNK, EOT

LENGTH, START, END = CHUNK, BOS, EOT


@dataclass(frozen=True)
class TokenizedCaption:
    """The ids of a caption without padding, where its EOT stands, and for each thing its noun's and others' tokens."""

    ids: tuple[int, ...]
    nouns: tuple[tuple[int, ...], ...]
    related: tuple[tuple[int, ...], ...]

    @property
    def end(self) -> int:
        """The position of the EOT."""
        return len(self.ids) - 1


@cache
def word_ids() -> dict[str, tuple[int, ...]]:
    """The tokens of every word that captions hold."""
    from tome_ext.embedded.random_model import clip_tokenizer

    tokenizer = clip_tokenizer()
    return {word: tuple(tokenizer(word, add_special_tokens=False).input_ids) for word in vocabulary()}


def tokenize(caption: Caption) -> TokenizedCaption:
    """The caption's tokens; longer ones than the encoder takes are cut, as the encoders do."""
    known = word_ids()
    ids, places = [START], []
    for word in caption.words:
        tokens = known[word]
        places.append(range(len(ids), len(ids) + len(tokens)))
        ids += tokens
    ids = [*ids[: LENGTH - 1], END]

    def of(words: Sequence[int]) -> tuple[int, ...]:
        return tuple(place for word in words for place in places[word] if place < LENGTH - 1)

    return TokenizedCaption(tuple(ids), tuple(of([noun]) for noun in caption.nouns), tuple(map(of, caption.related)))


def padded(captions: Sequence[TokenizedCaption]) -> tuple[Tensor, Tensor]:
    """The ids for both encoders [N, 77]: the first pads with EOT, the second with ``"!"``."""
    first = np.full((len(captions), LENGTH), END, np.int64)
    second = np.zeros((len(captions), LENGTH), np.int64)
    for row, caption in enumerate(captions):
        first[row, : len(caption.ids)] = second[row, : len(caption.ids)] = caption.ids
    return torch.from_numpy(first), torch.from_numpy(second)
