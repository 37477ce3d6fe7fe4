"""What the extension sd-webui-controlnet does to a job on AUTOMATIC1111, as far as ToMe meets it.

It puts one vector before every text's tokens, which tells its own UNet's forward pass positive from negative texts
and is taken off there, so that token positions are one too high. And that forward pass runs the UNet's encoder
under no_grad.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

_PREFIX = 1024.0


def prefix_length(tokens: Tensor) -> int:
    """How many vectors stand before the tokens [..., T, D] as a mark: 1 or 0."""
    if tokens.shape[-2] < 2:
        return 0
    first = tokens[..., 0, :]
    return int(bool(((first.abs() - _PREFIX).abs() < 1).all()))


@contextlib.contextmanager
def differentiable(unet: nn.Module | None) -> Iterator[None]:
    """Let gradients pass through all of the UNet for a while; nothing where no ControlNet is at work."""
    scope: dict[str, Any] = getattr(vars(unet).get("forward"), "__globals__", {}) if unet is not None else {}
    theirs = scope.get("th")
    if theirs is None:
        yield
        return
    scope["th"] = _WithGradient(theirs)
    try:
        yield
    finally:
        scope["th"] = theirs


class _WithGradient:
    """A module as it is, but for ``no_grad``."""

    no_grad = contextlib.nullcontext

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)
