"""Gradient descent on a few tensors through a frozen model, in any precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

Extra = TypeVar("Extra")

# Narrow floats: where the scale of the loss starts, by how much it changes, and how often that is tried.
_SCALE, _CHANGE, _TRIALS = 256.0, 256.0, 3


def gradients(
    evaluate: Callable[..., tuple[Iterable[Tensor], Extra]],
    variables: Sequence[Tensor],
    dtype: torch.dtype,
    *,
    together: bool = True,
) -> tuple[list[Tensor] | None, Extra]:
    """The gradients of a loss with respect to ``variables``, and what came along with it.

    ``evaluate`` takes the variables and returns the terms of the loss (none: nothing to differentiate, None is
    returned) and anything else. ``together``: one autograd call for their sum; else each term is computed,
    differentiated and forgotten before the next, with the same result in less memory. ``dtype``: the
    model's precision. Below bfloat16's range (float16, float8) the loss is scaled so that gradients neither
    overflow nor vanish, and evaluated again with another scale where they do.
    """
    scalable = dtype not in (torch.float64, torch.float32, torch.bfloat16)
    scale = _SCALE if scalable else 1.0
    for _ in range(_TRIALS):
        leaves = [variable.detach().requires_grad_() for variable in variables]
        terms, extra = evaluate(*leaves)
        found = _gradients(_joined(terms) if together else terms, leaves, scale)
        if found is None:
            return None, extra
        if not scalable or found[0].is_meta:
            break
        if not all(bool(gradient.isfinite().all()) for gradient in found):
            scale /= _CHANGE
        elif any(bool(gradient.any()) for gradient in found):
            break
        else:
            scale *= _CHANGE
    return found, extra


def _joined(terms: Iterable[Tensor]) -> Iterable[Tensor]:
    listed = list(terms)
    return [torch.stack(listed).sum()] if listed else []


def _gradients(terms: Iterable[Tensor], leaves: Sequence[Tensor], scale: float) -> list[Tensor] | None:
    """The gradients of the terms' sum, each term differentiated when it comes; None without any term."""
    found: list[Tensor] | None = None
    for term in terms:
        raw = torch.autograd.grad(term * scale, leaves, allow_unused=True)
        del term  # its graph holds the activations of a pass; the next one needs the room
        own = [torch.zeros_like(leaf) if g is None else g / scale for g, leaf in zip(raw, leaves, strict=True)]
        found = own if found is None else [a + b for a, b in zip(found, own, strict=True)]
    return found


def normalised(variable: Tensor, gradient: Tensor) -> Tensor:
    """The gradient's direction at the length of the token itself, for composite tokens [N, D].

    Of a whole context [B, T, D] the token with the largest gradient gets that length, the others less in proportion.
    A zero gradient stays zero.
    """
    length = gradient.norm(dim=-1, keepdim=True)
    if gradient.ndim == 3:
        length = length.amax(-2, keepdim=True)
    direction: Tensor = gradient / length.clamp(min=torch.finfo(gradient.dtype).tiny)
    moved: Tensor = direction * variable.norm(dim=-1, keepdim=True)
    return moved


def descend(variable: Tensor, gradient: Tensor, size: float) -> tuple[Tensor, int]:
    """``variable`` − ``size`` · ``gradient``, and how many rows were left as they are for a non-finite gradient.

    A row is what the last dimension holds for a token, the last three for a latent.
    """
    moved = variable - size * gradient
    rows = (-3, -2, -1) if variable.ndim == 4 else (-1,)
    finite = moved.isfinite()
    for dimension in rows:
        finite = finite.all(dimension, keepdim=True)
    discarded = 0 if moved.is_meta else int((~finite).sum())
    return torch.where(finite, moved, variable), discarded
