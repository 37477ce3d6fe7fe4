"""Robustness training: contexts with words missing, other end tokens and other norms. Never a merged token.

Merging takes words out, substitutes end tokens and changes norms. A small model that has only seen whole captions
fails for those reasons alone, before binding plays any part; a large one was trained on so many texts that it does
not. What is done here makes up for that, and is all that is done: each token of a context is one that the encoders
made, times a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tome_ext.research.training.text import LENGTH, TokenizedCaption


@dataclass(frozen=True)
class Robustness:
    """How often each change is made; ``share`` of the captions are changed at all."""

    share: float = 0.5
    ends: float = 0.6
    words: float = 0.6
    norms: float = 0.5
    pooled: float = 0.4
    alone: float = 0.3
    spread: float = 0.6  # of the logarithm of the norms' factors


@dataclass(frozen=True)
class Change:
    """For one caption: which of 2 · 77 tokens, its own and then its clean caption's, stand where, times what.

    ``pooled``: 0 its own, 1 the clean caption's, 2 zeros.
    """

    order: np.ndarray[tuple[int], np.dtype[np.int64]]
    scale: np.ndarray[tuple[int], np.dtype[np.float32]]
    pooled: int = 0

    @property
    def borrows(self) -> bool:
        """Whether anything comes from the clean caption."""
        return self.pooled == 1 or bool((self.order >= LENGTH).any())


def unchanged() -> Change:
    """The caption as it is."""
    return Change(np.arange(LENGTH), np.ones(LENGTH, np.float32))


def draw_change(
    rng: np.random.Generator, caption: TokenizedCaption, clean: TokenizedCaption, plan: Robustness
) -> Change:
    """A random change of one caption."""
    if rng.random() > plan.share:
        return unchanged()
    scale = np.ones(LENGTH, np.float32)
    pooled = int(rng.choice(3, p=(1 - plan.pooled, plan.pooled * 0.7, plan.pooled * 0.3)))
    if rng.random() < plan.alone and len(caption.nouns) == 1:
        return _alone(rng, caption, pooled, plan)
    kept = np.arange(caption.end)
    if rng.random() < plan.words:
        kept = _without_words(rng, caption)
    ends = np.arange(caption.end, LENGTH)
    if rng.random() < plan.ends:
        ends = LENGTH + np.arange(clean.end, LENGTH)
    order = np.concatenate([kept, ends])[:LENGTH]
    order = np.concatenate([order, np.full(LENGTH - len(order), order[-1])])
    if rng.random() < plan.norms:
        factors = np.exp(rng.normal(0.3, plan.spread, len(kept))).clip(0.4, 4).astype(np.float32)
        chosen = rng.random(len(kept)) < (1.0 if rng.random() < 0.3 else 0.3)
        nouns = np.isin(kept, [place for noun in caption.nouns for place in noun])
        scale[: len(kept)] = np.where(chosen | nouns, factors, 1)
        scale[0] = 1  # the start token never changes
    return Change(order, scale, pooled)


def _alone(rng: np.random.Generator, caption: TokenizedCaption, pooled: int, plan: Robustness) -> Change:
    """One token as the whole context: attention to equal keys is attention to one. The thing's last, or the EOT."""
    last = max([*caption.nouns[0], *caption.related[0]])
    place = caption.end if rng.random() < 0.2 else last if rng.random() < 0.5 else caption.nouns[0][-1]
    factor = float(np.exp(rng.normal(0.3, plan.spread)).clip(0.4, 4))
    return Change(np.full(LENGTH, place), np.full(LENGTH, factor, np.float32), pooled)


def _without_words(rng: np.random.Generator, caption: TokenizedCaption) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Positions before the EOT, some missing: what belongs to the things, all but the nouns, or any."""
    drawn = rng.random()
    kept = np.ones(caption.end, bool)
    if drawn < 0.5:
        for places in caption.related:
            if rng.random() < 0.8:
                kept[list(places)] = False
    elif drawn < 0.65:
        kept[1:] = False
        kept[[place for noun in caption.nouns for place in noun]] = True
    else:
        kept[1:] = rng.random(caption.end - 1) > rng.uniform(0.05, 0.6)
        for noun in caption.nouns:  # a thing nobody names cannot be drawn
            kept[list(noun)] = True
    return np.flatnonzero(kept)


@dataclass(frozen=True)
class Changes:
    """The changes of a batch as tensors: ``order`` and ``scale`` [N, 77], ``pooled`` [N]."""

    order: Tensor
    scale: Tensor
    pooled: Tensor

    @classmethod
    def of(cls, changes: Sequence[Change]) -> Changes:
        """The changes of all captions of a batch."""
        order = torch.from_numpy(np.stack([change.order for change in changes]))
        scale = torch.from_numpy(np.stack([change.scale for change in changes]))
        return cls(order, scale, torch.tensor([change.pooled for change in changes]))

    def context(self, own: Tensor, clean: Tensor) -> Tensor:
        """The changed contexts [N, 77, D] of the captions' ``own`` and of the clean captions', both [N, 77, D]."""
        index = self.order.to(own.device)[..., None].expand(-1, -1, own.shape[-1])
        return torch.cat([own, clean], 1).gather(1, index) * self.scale.to(own)[..., None]

    def vectors(self, own: Tensor, clean: Tensor) -> Tensor:
        """The changed pooled vectors [N, P]."""
        kinds = self.pooled.to(own.device)[:, None]
        return torch.where(kinds == 0, own, torch.where(kinds == 1, clean, torch.zeros_like(own)))
