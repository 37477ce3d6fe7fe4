"""Widening: the same function with more channels, so that 32 groups of a normalisation hold what 8 or 4 held.

A stream of c channels becomes one of k · c. Its channels stay together, the others are zero: then each group of the
wide normalisation is either one of the narrow one or all zeros. Where a normalisation runs over all channels (layer
normalisation), the stream is copied k times instead, which changes neither mean nor variance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Layout:
    """Where the channels of a narrow stream stand in the wide one of ``size`` channels, once or in several copies."""

    size: int
    copies: tuple[tuple[int, ...], ...]

    @classmethod
    def at(cls, start: int, count: int, size: int) -> Layout:
        """``count`` channels from ``start`` on."""
        return cls(size, (tuple(range(start, start + count)),))

    @classmethod
    def repeated(cls, count: int, times: int) -> Layout:
        """``times`` copies behind one another."""
        return cls(count * times, tuple(tuple(range(n * count, (n + 1) * count)) for n in range(times)))

    @classmethod
    def heads(cls, count: int, width: int, times: int) -> Layout:
        """Attention heads of ``width``, each widened for itself."""
        places = tuple(number // width * width * times + number % width for number in range(count))
        return cls(count * times, (places,))

    def then(self, other: Layout) -> Layout:
        """Both streams side by side; of copies, the first."""
        return Layout(self.size + other.size, (self.read + tuple(self.size + place for place in other.read),))

    @property
    def read(self) -> tuple[int, ...]:
        """Where a layer that takes this stream in reads it: one copy is enough."""
        return self.copies[0]


def same(count: int) -> Layout:
    """A stream that stays as it is."""
    return Layout.at(0, count, count)


def vector(value: Tensor, out: Layout, scale: float = 1.0) -> Tensor:
    """A bias or a normalisation's weight [c] in the wide stream."""
    wide = value.new_zeros(out.size)
    for places in out.copies:
        wide[list(places)] = value * scale
    return wide


def matrix(value: Tensor, inner: Layout, out: Layout, scale: float = 1.0) -> Tensor:
    """The weight [out, in, …] of a linear layer or convolution between wide streams."""
    wide = value.new_zeros(out.size, inner.size, *value.shape[2:])
    columns = torch.tensor(inner.read)
    for places in out.copies:
        wide[torch.tensor(places)[:, None], columns] = value * scale
    return wide


def put(
    target: Tensors, source: Mapping[str, Tensor], name: str, inner: Layout, out: Layout, scale: float = 1.0
) -> None:
    """Widen the layer ``name``: its weight and, where it has one, its bias."""
    target[f"{name}.weight"] = matrix(source[f"{name}.weight"], inner, out, scale)
    if f"{name}.bias" in source:
        target[f"{name}.bias"] = vector(source[f"{name}.bias"], out, scale)


def put_norm(target: Tensors, source: Mapping[str, Tensor], name: str, stream: Layout) -> None:
    """Widen the normalisation ``name``; channels that are zero stay so."""
    for kind in ("weight", "bias"):
        target[f"{name}.{kind}"] = vector(source[f"{name}.{kind}"], stream)


def names_under(source: Mapping[str, Tensor], prefix: str) -> Sequence[str]:
    """The names of the numbered children of ``prefix``: ``prefix.0``, ``prefix.1``, …"""
    numbers = {name[len(prefix) + 1 :].split(".")[0] for name in source if name.startswith(prefix + ".")}
    return [f"{prefix}.{number}" for number in sorted(numbers, key=int)]
