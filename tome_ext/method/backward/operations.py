"""The operations of hosts: gradients of those that are affine in their input, and writing into their weight buffers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional, grad
from torch.overrides import TorchFunctionMode

# From the gradient of an operation's output to that of its input: (gradient, shape of the input, weight, *rest).
_Pull = Callable[..., Tensor]


def _linear(gradient: Tensor, shape: torch.Size, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return gradient @ _floating(weight).to(gradient.dtype)


def _convolution(of_input: Callable[..., Tensor]) -> _Pull:
    def pull(
        gradient: Tensor, shape: torch.Size, weight: Tensor, bias: Tensor | None = None, *rest: Any, **named: Any
    ) -> Tensor:
        return of_input(shape, _floating(weight).to(gradient.dtype), gradient, *rest, **named)

    return pull


def _floating(weight: Tensor) -> Tensor:
    """A host's own kind of tensor as numbers to compute with."""
    own = type(weight) not in (Tensor, nn.Parameter) and hasattr(weight, "dequantize")
    return weight.dequantize() if own else weight


AFFINE: dict[Any, _Pull] = {
    functional.linear: _linear,
    torch.conv1d: _convolution(grad.conv1d_input),
    torch.conv2d: _convolution(grad.conv2d_input),
    torch.conv3d: _convolution(grad.conv3d_input),
}


class Writing(TorchFunctionMode):
    """Lets a host write weights into a buffer that it made under inference mode, which only that mode allows."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        in_place = name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))
        written = args[0] if in_place and args else (kwargs or {}).get("out")
        inference = isinstance(written, Tensor) and written.is_inference()
        with torch.inference_mode() if inference else nullcontext():
            return func(*args, **(kwargs or {}))
