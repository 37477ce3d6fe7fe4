"""Counts floating-point operations and live memory of whatever runs within, on the meta device as well."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry


class Meter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context that counts; exact, and the same on every machine.

    ``forward``, ``backward`` and ``recomputed``: FLOPs of matrix products, convolutions and attention (a
    multiplication and an addition are two), the last those that checkpointing repeats. ``peak_saved``: the most
    bytes that tensors made within occupied when a backward pass began, or went on after a recomputation: what was saved
    for it. ``peak_live``: the most bytes they occupied at any time, temporaries and gradients included.
    Tensors of ``models`` do not count.
    """

    def __init__(self, models: Iterable[nn.Module] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.forward = self.backward = self.recomputed = 0
        self.peak_saved = self.peak_live = 0
        self._live = 0
        self._went_back = False
        # The shapes that an operation makes of those that it was given.
        self._shapes: dict[object, Any] = {}
        # The address of every storage that is known, and what tells when it is gone.
        self._known: dict[int, object] = {
            tensor.untyped_storage()._cdata: None
            for model in models
            for tensor in (*model.parameters(), *model.buffers())
        }

    @property
    def flops(self) -> int:
        """All FLOPs so far."""
        return self.forward + self.backward + self.recomputed

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and count it."""
        kwargs = kwargs or {}
        # Within a backward pass gradients are disabled, but for the blocks that are computed again.
        in_graph = torch._C._current_graph_task_id() != -1
        goes_back = in_graph and not torch.is_grad_enabled()
        if goes_back and not self._went_back:
            self.peak_saved = max(self.peak_saved, self._live)
        self._went_back = goes_back
        result = self._run(func, args, kwargs)
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            count = formula(*args, **kwargs, out_val=result)
            name = "backward" if goes_back else "recomputed" if in_graph else "forward"
            setattr(self, name, getattr(self, name) + count)
        for value in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(value, Tensor):
                self._watch(value.untyped_storage())
        self.peak_live = max(self.peak_live, self._live)
        return result

    def _run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """The result of ``func``; on meta tensors, the shapes found once are used again: finding them is slow."""
        key = (func, _key(args), *((name, _key(value)) for name, value in kwargs.items()))
        found = self._shapes.get(key)
        if found is not None:
            return tuple(_empty(*shape) for shape in found) if isinstance(found, list) else _empty(*found)
        result = func(*args, **kwargs)
        made = list(result) if isinstance(result, tuple) else [result]
        if _is_new(made, func, args):
            self._shapes[key] = [_shape(value) for value in made] if isinstance(result, tuple) else _shape(result)
        return result

    def _watch(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return

        def forget(_: object) -> None:
            del self._known[key]
            self._live -= size

        self._known[key] = weakref.ref(storage, forget)
        self._live += size


def _key(value: object) -> object:
    """What the shapes of a result depend on, of an operation's argument."""
    if isinstance(value, Tensor):
        return (*_shape(value), value.device.type)
    if isinstance(value, (tuple, list)):
        return tuple([_key(item) for item in value])
    return type(value), value


def _shape(tensor: Tensor) -> tuple[torch.Size, tuple[int, ...], torch.dtype]:
    return tensor.shape, tensor.stride(), tensor.dtype


def _empty(size: torch.Size, stride: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.empty_strided(size, stride, dtype=dtype, device="meta")


def _is_new(made: list[Any], func: Any, args: Any) -> bool:
    """Whether an operation made nothing but tensors on meta, with memory of their own."""
    if func._schema.is_mutable or any(not isinstance(value, Tensor) or not value.is_meta for value in made):
        return False
    given = {value.untyped_storage()._cdata for value in tree_leaves(args) if isinstance(value, Tensor)}
    return given.isdisjoint(value.untyped_storage()._cdata for value in made)
