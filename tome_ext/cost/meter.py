"""Counts floating-point operations and live memory of whatever runs within, on the meta device as well."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
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
        result = func(*args, **kwargs)
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

    def _watch(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return

        def forget(_: object) -> None:
            del self._known[key]
            self._live -= size

        self._known[key] = weakref.ref(storage, forget)
        self._live += size
