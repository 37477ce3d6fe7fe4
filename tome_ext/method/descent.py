"""Gradient descent on a few tensors through a frozen model, in any precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tome_ext.method.state import Losses, Report

# A term of a loss: from the variables to a number, and the values of its losses by object.
Term = Callable[..., tuple[Tensor, Losses]]

# Narrow floats: the scale that a loss is multiplied by at first, and the factor by which that changes.
_SCALE, _CHANGE = 256.0, 256.0
# The most that one update moves a token or a latent, in its own lengths: the authors' steps are of a few at most.
MOST = 100.0


def gradients(
    terms: Sequence[Term], variables: Sequence[Tensor], dtype: torch.dtype, *, together: bool = True
) -> tuple[list[Tensor], Losses]:
    """The gradients of the sum of ``terms`` with respect to ``variables``, and the values of the losses.

    Each term is called once, with the variables. ``together``: one backward pass for the sum; else each term is
    computed, differentiated and forgotten before the next, with the same result in less memory. ``dtype``: the
    model's precision.
    """
    leaves = [variable.detach().requires_grad_() for variable in variables]
    losses = Losses()
    if together:
        found = [term(*leaves) for term in terms]
        for _, values in found:
            losses.update(values)
        return _gradient(torch.stack([loss for loss, _ in found]).sum(), leaves, dtype), losses
    total = [torch.zeros_like(leaf) for leaf in leaves]
    for term in terms:
        loss, values = term(*leaves)
        losses.update(values)
        total = [a + b for a, b in zip(total, _gradient(loss, leaves, dtype), strict=True)]
        del loss  # its graph holds the activations of a pass; the next one needs the room
    return total, losses


def _gradient(loss: Tensor, leaves: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """The gradient of a loss, zero where it does not depend on a leaf.

    Below bfloat16's range (float16, float8) the loss is scaled, so that gradients neither overflow nor vanish. Where
    they do, the backward pass is made again with another scale; the forward pass never is.
    """
    if dtype in (torch.float64, torch.float32, torch.bfloat16) or loss.is_meta:
        return _scaled(loss, leaves, 1.0)
    found = _scaled(loss, leaves, _SCALE, keep=True)
    if not all(bool(gradient.isfinite().all()) for gradient in found):
        return _scaled(loss, leaves, _SCALE / _CHANGE)
    if not any(bool(gradient.any()) for gradient in found):
        return _scaled(loss, leaves, _SCALE * _CHANGE)
    return found


def _scaled(loss: Tensor, leaves: Sequence[Tensor], scale: float, *, keep: bool = False) -> list[Tensor]:
    raw = torch.autograd.grad(loss * scale, leaves, retain_graph=keep, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g / scale for g, leaf in zip(raw, leaves, strict=True)]


def normalised(variable: Tensor, gradient: Tensor) -> Tensor:
    """The gradient's direction at the length of the token itself, for composite tokens [N, D].

    Of a whole context [B, T, D] the token with the largest gradient gets that length, the others less in proportion.
    A zero gradient stays zero.
    """
    length = _length(gradient)
    if gradient.ndim == 3:
        length = length.amax(-2, keepdim=True)
    direction = torch.where(length == 0, 0.0, gradient / length)
    moved: Tensor = direction * variable.norm(dim=-1, keepdim=True)
    return moved


def descend(variable: Tensor, gradient: Tensor, size: float, report: Report, most: float = MOST) -> Tensor:
    """``variable`` − ``size`` · ``gradient``, by at most ``most`` times the length of what moves.

    What moves is a composite token of [N, D], any token of a context [B, T, D] (its length: that of the longest
    there), or a latent of [B, C, h, w]. One with a non-finite gradient stays where it is. The report counts both.
    """
    rows = (-3, -2, -1) if variable.ndim == 4 else (-1,)
    move = size * gradient
    limit, length = most * _length(variable, rows), _length(move, rows)
    if variable.ndim == 3:
        limit = limit.amax(-2, keepdim=True)
    move = torch.where(length > limit, move * (limit / length), move)
    finite = move.isfinite().all(-1, keepdim=True)
    for dimension in rows[:-1]:
        finite = finite.all(dimension, keepdim=True)
    if not move.is_meta:
        report.updates += finite.numel()
        report.discarded += int((~finite).sum())
    return torch.where(finite, variable - move, variable)


def shortened(tokens: Tensor, longest: Tensor) -> Tensor:
    """``tokens`` [..., D], those that are longer than ``longest`` [..., 1] at that length."""
    length = _length(tokens)
    return torch.where(length > longest, tokens * (longest / length), tokens)


def _length(rows: Tensor, dimensions: tuple[int, ...] = (-1,)) -> Tensor:
    """The norm over ``dimensions``, of elements as small or as large as the number format has them."""
    largest = rows.abs().amax(dimensions, keepdim=True)
    scale = torch.where(largest > 0, largest, 1.0)
    return scale * (rows / scale).square().sum(dimensions, keepdim=True).sqrt() * (largest > 0)
