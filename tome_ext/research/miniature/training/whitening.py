"""Training in other coordinates: encodings of equal spread in all directions, and weights that are brought back.

Contrastive encoders put most of what they tell into a dozen directions and what tells similar words apart into
others, a tenth as long; weights that read the raw encodings learn the latter late. What is trained are weights of the
whitened encodings. As the layers that read text are linear, the finished model reads the raw ones with other weights
and does exactly the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tome_ext.research.miniature.training.bank import Bank

_FLOOR = 1e-3  # of the largest variance; directions below it are not stretched any further
_SAMPLE = 400  # sets of things that the spread is measured on
_ROWS = 256


@dataclass(frozen=True)
class Whitening:
    """Symmetric matrices: the whitened context is c · ``context`` [D, D], the whitened vector p · ``pooled`` [P, P]."""

    context: Tensor
    pooled: Tensor

    @classmethod
    def of(cls, bank: Bank) -> Whitening:
        """Measured on a part of the bank."""
        return cls(*(_matrix(part[:_SAMPLE].float()) for part in (bank.contexts, bank.pooled)))

    @classmethod
    def read(cls, tensors: Mapping[str, Tensor]) -> Whitening:
        """From the tensors of :meth:`tensors`."""
        return cls(tensors["context"], tensors["pooled"])

    def tensors(self) -> dict[str, Tensor]:
        """By name, for a checkpoint."""
        return {"context": self.context, "pooled": self.pooled}

    def bank(self, bank: Bank) -> Bank:
        """The same bank, whitened. Its contexts are changed in place, for there is no room for two of them."""
        for start in range(0, len(bank), _ROWS):
            rows = bank.contexts[start : start + _ROWS]
            rows.copy_(rows.float() @ self.context)
        return replace(bank, pooled=(bank.pooled.float() @ self.pooled).half())

    def folded(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights that read raw encodings, of those that read whitened ones."""
        return self._read_by(state, self.context, self.pooled)

    def unfolded(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of :meth:`folded`."""
        return self._read_by(state, torch.linalg.inv(self.context), torch.linalg.inv(self.pooled))

    def _read_by(self, state: Mapping[str, Tensor], context: Tensor, pooled: Tensor) -> dict[str, Tensor]:
        made = dict(state)
        for name, value in state.items():
            if name.endswith((".attn2.to_k.weight", ".attn2.to_v.weight")):
                made[name] = value.float() @ context
            elif name == "add_embedding.linear_1.weight":  # it reads the pooled vector first, and sizes behind it
                width = len(pooled)
                made[name] = torch.cat([value[:, :width].float() @ pooled, value[:, width:]], 1)
        return made


def _matrix(vectors: Tensor) -> Tensor:
    flat = vectors.flatten(0, -2).double()
    values, directions = torch.linalg.eigh(flat.T @ flat / len(flat))
    lengths = (values.clamp(min=0) + _FLOOR * values[-1]).rsqrt()
    made: Tensor = (directions * lengths @ directions.T).float()
    return made
