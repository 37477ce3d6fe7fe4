"""ToMe itself, in plain torch: no host, no sampler, no kind of prediction, no number of timesteps.

In reading order: ``merging`` (composite tokens, end token substitution), ``composition`` (a job's tokens),
``layers`` and ``attention`` (where each token looks), ``losses``, ``window`` (which steps), ``refine`` (one step).
``backward`` holds what makes a backward pass through a host's model possible and affordable.
"""
