"""Weights in a number format of their own (GGUF, NF4, int8 …): whether the right gradient passes through them.

What a host's operation makes of such weights is not known here, so it is tried: an operation that is affine in its
input has the same slope everywhere, and a gradient that is not that slope is found by one further call.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

# A gradient may differ from the slope by this much: narrow floats round, and hosts may round what goes in as well.
_TOLERANCE = 0.03


class NoGradient(RuntimeError):
    """No gradient passes through an operation of the model, or a wrong one: nothing can be refined with it."""


def stored(module: nn.Module) -> str:
    """How a module's own weights are stored, where they are quantised: "weight is uint8".

    Empty for floating-point numbers, those in fp8 too: hosts cast them before they compute.
    """
    parameters = [*module.named_parameters(recurse=False)]
    buffers = [(name, value) for name, value in module.named_buffers(recurse=False) if value.ndim > 1]
    for name, value in [*parameters, *buffers]:
        if not value.dtype.is_floating_point:
            return f"{name} is {str(value.dtype).removeprefix('torch.')}"
        if type(value.data) is not Tensor:
            return f"{name} is a {type(value.data).__name__}"
    return ""


def passes(run: Callable[[Tensor], Tensor], given: Tensor) -> bool:
    """Whether the gradient of ``run`` is its slope, of a function that is affine in its input ``given``.

    An operation that cannot be differentiated at all does not pass. Lack of memory is raised.
    """
    at = given.detach().clone().requires_grad_()
    try:
        with torch.enable_grad():
            made = run(at)
            if not made.requires_grad:
                return False
            with torch.no_grad():
                # A direction that is the same at every run and in no host's random numbers.
                wave = torch.arange(at.numel(), dtype=torch.float32, device=at.device).cos().view_as(at)
                direction = (wave * (at.abs().float().mean() + 1e-3)).to(at)
                change = run(at.detach() + direction) - made
            (gradient,) = torch.autograd.grad(made, at, change)
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error).lower():
            raise
        return False
    slope = float(change.double().square().sum())
    found = float((gradient.double() * direction.double()).sum())
    return abs(found - slope) <= _TOLERANCE * slope
