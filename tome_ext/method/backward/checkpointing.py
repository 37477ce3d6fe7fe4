"""Activation checkpointing: a block's inner activations are computed again for the backward pass, not kept.

Works on the transformer blocks of diffusers, ldm and sgm, found by what they are made of, with whatever a host
or another extension has put into them: hooks, LoRA, other attention functions. Residual blocks are left alone:
they are a twentieth of what is kept and would be a fifth of what is computed again (docs/COST.md).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

_PARTS = ("attn1", "attn2", "ff")
_ABSENT = object()


@contextmanager
def checkpointed(unet: nn.Module, *, except_for: Collection[nn.Module] = ()) -> Iterator[None]:
    """Within, transformer blocks of ``unet`` keep only their inputs for the backward pass; gradients are the same.

    Blocks that are or contain one of ``except_for`` are left alone. Exceptions go through, from within a block
    as well: an :class:`~tome_ext.method.attention.AttentionRecorder` may end the pass there. Backward passes belong
    within, too. On exit every block is as it was.
    """
    left_alone = set(map(id, except_for))
    with ExitStack() as stack:
        for block in transformer_blocks(unet):
            if left_alone.isdisjoint(map(id, block.modules())):
                stack.enter_context(_wrapped(block))
        yield


def transformer_blocks(unet: nn.Module) -> list[nn.Module]:
    """The modules of ``unet`` that consist of ``attn1``, ``attn2`` and ``ff``, in their order."""
    return [
        module
        for module in unet.modules()
        if all(isinstance(getattr(module, part, None), nn.Module) for part in _PARTS)
    ]


@contextmanager
def _wrapped(block: nn.Module) -> Iterator[None]:
    """``block.forward`` checkpointed, and the inputs of its norms cloned (some hosts add residuals in place)."""
    own = block.__dict__.get("forward", _ABSENT)
    norms = [child for name, child in block.named_children() if name.startswith("norm")]
    handles = [norm.register_forward_pre_hook(_clone_input) for norm in norms]
    block.forward = _checkpointing(block.forward)
    try:
        yield
    finally:
        if own is _ABSENT:
            del block.__dict__["forward"]
        else:
            block.__dict__["forward"] = own
        for handle in handles:
            handle.remove()


def _clone_input(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.clone() if isinstance(value, Tensor) else value for value in inputs)


def _checkpointing(forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        if not (torch.is_grad_enabled() and _any_requires_grad((*args, *kwargs.values()))):
            return forward(*args, **kwargs)
        kept = tuple(map(_snapshot, args)), {name: _snapshot(value) for name, value in kwargs.items()}
        raised: list[BaseException] = []
        recomputing = False

        def body(*_: Tensor) -> Any:
            nonlocal recomputing
            if recomputing:
                return forward(*map(_own, kept[0]), **{name: _own(value) for name, value in kept[1].items()})
            recomputing = True
            try:
                return forward(*map(_unshared, args), **kwargs)
            except BaseException as error:
                # One that left checkpoint's own contexts would leave its hooks behind for as long as it is kept.
                raised.append(error)
                return None

        tensors = [value for value in args if isinstance(value, Tensor)]  # tell checkpoint the device, no more
        result = checkpoint(body, *tensors, use_reentrant=False, preserve_rng_state=False)
        if raised:
            raise raised.pop()
        return result

    return run


def _any_requires_grad(values: tuple[Any, ...]) -> bool:
    return any(isinstance(value, Tensor) and value.requires_grad for value in values)


def _snapshot(value: Any) -> Any:
    """What the recomputation starts from: hosts write into their dictionaries of options from block to block."""
    return dict(value) if isinstance(value, dict) else value


def _own(value: Any) -> Any:
    """What one recomputation may change without the next one seeing it."""
    return dict(value) if isinstance(value, dict) else _unshared(value)


def _unshared(value: Any) -> Any:
    """Hidden states [B, pixels, D] cloned, for blocks that add to their input in place."""
    return value.clone() if isinstance(value, Tensor) and value.ndim == 3 else value
