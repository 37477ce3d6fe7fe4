"""Cross-attention maps, read from the queries and keys of chosen layers.

Hosts replace the attention function itself (sdp, xformers, sub-quadratic …) and none of the replacements
exposes the maps. The projections ``to_q`` and ``to_k`` are always called, so they are what is hooked.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from tome_ext.method.precision import widened


class _Complete(Exception):
    """Every layer that was asked for has been seen: the rest of the forward pass is not needed."""


class AttentionRecorder:
    """Records the cross-attention of chosen layers while it is entered as a context.

    ``layers``: the cross-attention modules by name (:func:`tome_ext.method.layers.select_layers`). The forward
    result is not changed, gradients flow through the maps where they are enabled, and the hooks are gone on exit, also
    after an exception. With ``stop`` the forward pass ends after the last layer needed: then call the model
    through :meth:`run`.
    """

    def __init__(self, layers: Mapping[str, nn.Module], *, stop: bool = False) -> None:
        self._layers = dict(layers)
        self._stop = stop
        self._seen: dict[tuple[str, str], Tensor] = {}
        self._handles: list[Any] = []

    def __enter__(self) -> AttentionRecorder:
        """Install the hooks."""
        self._seen.clear()
        for name, layer in self._layers.items():
            for part in ("to_q", "to_k"):
                self._handles.append(getattr(layer, part).register_forward_hook(self._hook(name, part)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def run(self, forward: Callable[[], object]) -> None:
        """Call ``forward`` up to the last layer needed, or to its end without ``stop``."""
        with contextlib.suppress(_Complete):
            forward()

    def probabilities(self) -> Tensor:
        """The attention over the text, averaged over heads and layers: [rows, pixels, tokens], float32.

        Raises RuntimeError when a layer was not called with separate queries and keys, ValueError when the
        layers have different resolutions.
        """
        maps = []
        for name, layer in self._layers.items():
            if (name, "to_q") not in self._seen or (name, "to_k") not in self._seen:
                raise RuntimeError(f"layer {name} computed no queries and keys of its own in this forward pass")
            maps.append(_head_mean(self._seen[name, "to_q"], self._seen[name, "to_k"], layer))
        if len({one.shape[1] for one in maps}) > 1:
            sizes = ", ".join(f"{name}: {one.shape[1]} pixels" for name, one in zip(self._layers, maps, strict=True))
            raise ValueError(f"layers of different resolutions cannot be averaged ({sizes})")
        return torch.stack(maps).mean(0)

    def _hook(self, name: str, part: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def record(module: nn.Module, inputs: Any, output: Tensor) -> None:
            # A recomputation (activation checkpointing) calls the layer again: the first result is the one.
            if (name, part) in self._seen:
                return
            self._seen[name, part] = output
            if self._stop and len(self._seen) == 2 * len(self._layers):
                raise _Complete

        return record


def map_size(latent_size: tuple[int, int], pixels: int) -> tuple[int, int]:
    """Height and width of an attention map of ``pixels`` for a latent of ``latent_size``, whatever its shape.

    Each level of the UNet halves the size, rounding up. Raises ValueError where no level has ``pixels``.
    """
    height, width = latent_size
    while height * width > pixels and max(height, width) > 1:
        height, width = (height + 1) // 2, (width + 1) // 2
    if height * width != pixels:
        raise ValueError(f"no level of a {latent_size[0]} x {latent_size[1]} latent has {pixels} pixels")
    return height, width


def _head_mean(queries: Tensor, keys: Tensor, layer: nn.Module) -> Tensor:
    """Softmax of the scaled products, averaged over heads: [rows, pixels, tokens]."""
    rows, pixels, width = queries.shape
    heads = int(layer.heads)  # type: ignore[arg-type]
    q = widened(queries).view(rows, pixels, heads, width // heads).transpose(1, 2)
    k = widened(keys).view(rows, keys.shape[1], heads, width // heads).transpose(1, 2)
    logits = q @ k.transpose(-1, -2) * math.sqrt(heads / width)
    return logits.softmax(-1).mean(1)
