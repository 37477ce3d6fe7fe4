"""Gradients through a UNet whose host samples under ``inference_mode``, and nothing of it left behind.

Autograd refuses tensors that were made under ``inference_mode``, and hosts of the Forge family load and run their
models in it. Some also add residuals to a tensor in place that autograd still needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tome_ext.method.backward.weights import fetched_again


@contextmanager
def ordinary() -> Iterator[None]:
    """What is computed within may take part in a gradient later, whatever mode the host is in; none is kept yet."""
    with torch.inference_mode(False), torch.no_grad():
        yield


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """No parameter of ``module`` requires a gradient within; afterwards those that did do so again.

    Inference tensors are left alone: outside inference mode nobody may give them their ``requires_grad`` back.
    """
    parameters = [one for one in module.parameters() if one.requires_grad and not one.is_inference()]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@contextmanager
def differentiable(*modules: nn.Module, changing: bool = False) -> Iterator[None]:
    """Within, gradients flow through ``modules`` to their inputs; afterwards everything is as it was.

    - inference mode is off, gradients are on;
    - parameters and buffers that autograd refuses are replaced by ordinary tensors over the same memory;
    - no parameter requires a gradient;
    - weights that a host casts or moves for each operation are fetched again in the backward pass
      (:mod:`tome_ext.method.backward.weights`), quantised ones too, where that gives the right gradient;
    - transformer blocks may add to their hidden states in place: their norms save a copy;
    - with ``changing`` anything outside checkpointed blocks may be changed in place, as other extensions do: autograd
      saves copies. That takes a little longer.

    Inputs have to be ordinary tensors (``clone`` them within, or under :func:`ordinary`). Modules may be on any
    device and of any type, moved to and fro by the host as well; those that are replaced within are left to who did so.
    """
    with ExitStack() as stack:
        for module in modules:
            stack.enter_context(_accepted(module))
            stack.enter_context(frozen(module))
            stack.enter_context(fetched_again(module))
            for norm in _norms(module):
                stack.callback(norm.register_forward_pre_hook(_copied).remove)
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if changing:
            stack.enter_context(_saved_as_copies(modules))
        yield


@contextmanager
def _accepted(module: nn.Module) -> Iterator[None]:
    """Stand-ins for what autograd refuses; one for each tensor, however often it is used.

    Quantised weights stay what they are: their kind says how they are read, and autograd keeps none of them.
    """
    made: dict[int, Tensor] = {}
    changed: list[tuple[dict[str, Any], str, Tensor, Tensor]] = []
    try:
        for part in module.modules():
            slots: tuple[dict[str, Any], ...] = (part._parameters, part._buffers)
            for kept in slots:
                for name, value in kept.items():
                    if isinstance(value, Tensor) and value.is_inference() and _ordinary_numbers(value):
                        stand_in = made.get(id(value))
                        if stand_in is None:
                            stand_in = made[id(value)] = _stand_in(value)
                        changed.append((kept, name, value, stand_in))
                        kept[name] = stand_in
        yield
    finally:
        for kept, name, value, stand_in in reversed(changed):
            if kept.get(name) is stand_in:
                _follow(value, stand_in)
                kept[name] = value


def _ordinary_numbers(value: Tensor) -> bool:
    return value.dtype.is_floating_point and type(value.data) is Tensor


def _stand_in(value: Tensor) -> Tensor:
    """An ordinary tensor over the memory of ``value``, which nobody copies."""
    with ordinary():
        same = _over(value)
        if not isinstance(value, nn.Parameter):
            return same
        parameter = nn.Parameter(same, requires_grad=False)
        # Some hosts keep what they know of a weight on the weight itself.
        parameter.__dict__.update(value.__dict__)
        return parameter


def _over(value: Tensor) -> Tensor:
    """A tensor over the memory of ``value``, of the kind that the present mode makes."""
    same = torch.empty(0, dtype=value.dtype, device=value.device)
    return same.set_(value.untyped_storage(), value.storage_offset(), value.shape, value.stride())


def _follow(value: Tensor, stand_in: Tensor) -> None:
    """Where the host moved the stand-in to other memory, its original goes there too."""
    if (value.device, value.data_ptr(), value.dtype) != (stand_in.device, stand_in.data_ptr(), stand_in.dtype):
        with torch.inference_mode():
            value.data = _over(stand_in)


def _saved_as_copies(modules: tuple[nn.Module, ...]) -> torch.autograd.graph.saved_tensors_hooks:
    """Autograd keeps copies of what it saves, but for the weights, which nobody changes."""
    weights = {value.untyped_storage().data_ptr() for module in modules for value in module.parameters()}

    def pack(value: Tensor) -> Tensor:
        kept = value.detach()
        return kept if kept.untyped_storage().data_ptr() in weights else kept.clone()

    return torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value)


def _norms(module: nn.Module) -> list[nn.Module]:
    """The norms of transformer blocks, the readers of what is added to in place."""
    return [
        child
        for block in module.modules()
        if isinstance(getattr(block, "attn1", None), nn.Module)
        for name, child in block.named_children()
        if name.startswith("norm")
    ]


def _copied(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
    if not torch.is_grad_enabled():
        return None
    return tuple(value.clone() if isinstance(value, Tensor) else value for value in inputs)
