"""Refinement that may need more memory than there is: tried, tried again with checkpointing, then given up."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from tome_ext.method.backward.quantised import NoGradient
from tome_ext.settings import Settings

Result = TypeVar("Result")

_SHORT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


@dataclass(frozen=True)
class Attempt(Generic[Result]):
    """How a try to refine ended: its ``result`` (None after a failure) and the ``settings`` of the last try.

    ``failure``: what to tell the user of it, empty where there was none. ``short_of_memory``: whether memory was the
    reason.
    """

    result: Result | None
    settings: Settings
    failure: str = ""
    short_of_memory: bool = False


def with_less_memory(
    work: Callable[[Settings], Result],
    settings: Settings,
    *,
    release: Callable[[], None],
    report: Callable[[Exception], None],
) -> Attempt[Result]:
    """``work``, which refines, with the ``settings``; where memory is short, once more with checkpointing if "auto".

    ``release`` gives memory back to the device after each failure, when nothing holds the failed try's tensors any
    more. ``report`` is called for an error that is a fault of ours, while it is being handled: not for want of memory,
    nor for weights that no gradient passes through. What is no Exception (an interrupt) goes through.
    """
    attempt = _tried(work, settings, report)
    if not attempt.failure:
        return attempt
    release()
    if not attempt.short_of_memory or settings.checkpointing != "auto":
        return attempt
    attempt = _tried(work, settings.replace(checkpointing="on"), report)
    if attempt.failure:
        release()
    return attempt


def _tried(
    work: Callable[[Settings], Result], settings: Settings, report: Callable[[Exception], None]
) -> Attempt[Result]:
    """One try. The error is kept as text alone: its traceback would hold the tensors of the failed pass."""
    try:
        return Attempt(work(settings), settings)
    except NoGradient as error:
        return Attempt(None, settings, f"tokens are merged, not refined: {error}")
    except Exception as error:
        short = out_of_memory(error)
        if not short:
            report(error)
        reason = "for want of memory, " if short else ""
        told = f"refinement failed {reason}so there is none from here on: {type(error).__name__}: {error}"
        return Attempt(None, settings, told, short)


def out_of_memory(error: BaseException) -> bool:
    """Whether a device had too little memory, whichever it is."""
    text = str(error)
    known = isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError))
    return known or any(sign in text for sign in _SHORT_OF_MEMORY)


def release_memory(device: torch.device) -> None:
    """Give the memory that nothing uses any more back to the ``device``."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
