"""For all tests: one thread, which is the fastest for models this small, and does not disturb a shared machine."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
