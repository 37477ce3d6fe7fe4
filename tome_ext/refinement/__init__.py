"""Refinement: move the composite tokens down the losses while the layout forms (METHOD, parts 3 and 4).

A host describes each model call as a :class:`Step` and keeps the :class:`Tokens` of its job between calls:

    if in_window(step, settings):
        tokens, latents, report = refine(step, tokens, settings)

Nothing here knows a host, a sampler, a number of timesteps or a kind of prediction.
"""

from tome_ext.refinement.job import Report, Step, Tokens, Trajectory
from tome_ext.refinement.loop import in_window, refine

__all__ = ["Report", "Step", "Tokens", "Trajectory", "in_window", "refine"]
