"""What our own passes through a host's UNet need, whichever host it is."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor


def copied(made: Any) -> Any:
    """Lists and dictionaries of tensors, copied."""
    if isinstance(made, dict):
        return {name: copied(value) for name, value in made.items()}
    if isinstance(made, (list, tuple)):
        return [copied(value) for value in made]
    return made.clone() if isinstance(made, Tensor) else made


def has_functions(options: Any) -> bool:
    """Whether there is a function in dictionaries and lists: another extension's patch, which may change anything."""
    if isinstance(options, dict):
        return any(map(has_functions, options.values()))
    if isinstance(options, (list, tuple)):
        return any(map(has_functions, options))
    return callable(options)


@contextlib.contextmanager
def uncompiled(model: Any) -> Iterator[None]:
    """A model that ``torch.compile`` has taken runs as it was written: what was traced knows none of our hooks.

    Nothing where nothing is compiled, since only then PyTorch's compiler need not be loaded.
    """
    stance = getattr(torch.compiler, "set_stance", None)
    may_compile = "torch._dynamo" in sys.modules or "apply_model" in getattr(model, "__dict__", {})
    with stance("force_eager") if stance is not None and may_compile else contextlib.nullcontext():
        yield
