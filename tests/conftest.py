"""For all tests: one thread, the fastest for models this small, and generated inputs that are the same in every run."""

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
# No deadline: a busy machine fails no test. A fixed seed: a change never passes or fails by luck.
settings.register_profile("fixed", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fixed")
