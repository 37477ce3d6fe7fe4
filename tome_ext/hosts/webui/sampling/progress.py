"""How far a refined step has come, for the host's progress bar and the line beside it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from tome_ext.method.state import Step
from tome_ext.settings import Settings

# On the host's state: (start of its job, number of the job's part, sampling steps that are done).
DONE = "_tome_done"
# A pass with its gradient, in passes without one; and what plain sampling does for an image in a step.
_WITH_GRADIENT, _PLAIN = 3.0, 2.0


def host_state() -> Any:
    """The WebUI's state of the running job; None where there is none."""
    return getattr(sys.modules.get("modules.shared"), "state", None)


class StepProgress:
    """The share of one model call of the sampler that is done, while its rows are refined one after the other.

    The host counts whole steps, and everybody reads its count, so it stays as it is: the share stands beside it, where
    :mod:`tome_ext.hosts.webui.progress` finds it. ``work``: the passes that the rows' refinement takes.
    """

    def __init__(self, index: int, images: int, work: float) -> None:
        self._index, self._done, self._all = index, 0.0, work + _PLAIN * images
        self._tell()

    def counted(self, step: Step, settings: Settings) -> Step:
        """The same call, whose predictions are counted."""
        share = settings.resolution**2

        def predict(latents: Tensor, context: Tensor, images: Sequence[int]) -> Tensor:
            try:
                return step.predict(latents, context, images)
            finally:
                self._done += len(images) * share * (_WITH_GRADIENT if context.requires_grad else 1.0)
                self._tell()

        return replace(step, predict=predict)

    def _tell(self) -> None:
        state = host_state()
        if state is not None:
            part = min(self._done / self._all, 1.0)
            setattr(state, DONE, (getattr(state, "time_start", 0), getattr(state, "job_no", 0), self._index + part))


def work(settings: Settings, objects: int) -> float:
    """The passes that refining one row takes at most, in forward passes of one whole image."""
    bindings = settings.binding_iterations if settings.order == "separate" else settings.iterations
    passes = 0.0
    if settings.binding_weight and bindings:
        passes += objects * ((2 if settings.phrase_latent == "own" else 1) + _WITH_GRADIENT * bindings)
    if settings.entropy_weight or settings.position_weight:
        passes += _WITH_GRADIENT * settings.iterations
    return passes * settings.resolution**2


def forget() -> None:
    """The sampling pass is over."""
    state = host_state()
    if state is not None and hasattr(state, DONE):
        delattr(state, DONE)


@contextlib.contextmanager
def said(text: str) -> Iterator[None]:
    """``text`` in the host's line beside its progress bar, where it has one, for as long as something is done."""
    state = host_state()
    if state is None:
        yield
        return
    before = getattr(state, "textinfo", None)
    state.textinfo = text
    try:
        yield
    finally:
        state.textinfo = before
