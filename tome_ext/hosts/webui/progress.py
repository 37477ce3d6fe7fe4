"""Progress and ETA within a refined step, in the host's answers about them.

The host counts whole sampling steps. What a job notes of the step that is being refined
(:mod:`tome_ext.hosts.webui.sampling.progress`) is added to its answers; its own count stays as it is.
"""

from __future__ import annotations

import functools
import logging
import time
from typing import Any

ROUTES = ("/internal/progress", "/sdapi/v1/progress")
# The attribute of the host's state, as in the module above: importing that one would load torch with every page.
_DONE = "_tome_done"
# The host's count is behind by one step while the next is made; what is further off is of another sampling run.
_MOST_AHEAD = 2.0


def add(app: Any) -> None:
    """Let the routes answer more finely."""
    for route in app.routes:
        if getattr(route, "path", "") in ROUTES and hasattr(route, "dependant"):
            route.dependant.call = _finer(route.dependant.call)


def _finer(answer: Any) -> Any:
    @functools.wraps(answer)
    def answered(*args: Any, **kwargs: Any) -> Any:
        given = answer(*args, **kwargs)
        try:
            from modules import shared

            refine(given, shared.state, time.time())
        except Exception:
            logging.getLogger(__name__).exception("[ToMe] the progress could not be told")
        return given

    return answered


def refine(answer: Any, state: Any, now: float) -> None:
    """Add the part of the present step to an answer's progress, and let its ETA follow."""
    start, job, done = getattr(state, _DONE, (0.0, -1, 0.0))
    ahead = done - state.sampling_step
    if (start, job) != (state.time_start, state.job_no) or not 0 < ahead < _MOST_AHEAD:
        return
    if answer.progress is None or state.sampling_steps <= 0 or state.job_count <= 0:
        return
    answer.progress = min(answer.progress + ahead / state.sampling_steps / state.job_count, 1.0)
    eta = max((now - start) * (1 / answer.progress - 1), 0.0)
    for name in ("eta", "eta_relative"):
        if hasattr(answer, name):
            setattr(answer, name, eta)
