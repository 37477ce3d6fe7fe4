"""What ToMe leaves behind in memory after use: nothing."""

from __future__ import annotations

import gc
import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.hosts.diffusers.sampling import TWO, make, quiet, settings_of
from tome_ext.embedded.random_model import random_pipeline
from tome_ext.hosts.diffusers import attach


class PeakBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that live at once, of those that are made while it is entered."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.known = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                storage = leaf.untyped_storage()
                if storage._cdata not in self.known:
                    self.known.add(storage._cdata)
                    self.now += storage.nbytes()
                    self.peak = max(self.peak, self.now)
                    weakref.finalize(storage, self.freed, storage._cdata, storage.nbytes())
        return result

    def freed(self, key, size):
        self.known.discard(key)
        self.now -= size


def peak_of_plain_sampling(pipe):
    gc.collect()
    with PeakBytes() as counted:
        make(pipe, [TWO], [1], steps=2)
    return counted.peak


def test_the_counter_sees_what_lives_at_once():
    with PeakBytes() as counted:
        one = torch.zeros(1000)
        two = one + 1
        del two
        three = one + 1
    assert counted.peak >= 8000
    assert counted.peak < 12000
    assert three.sum() == 1000


def test_peak_memory_of_plain_sampling_is_unchanged_by_a_run_with_tome():
    pipe = quiet(random_pipeline())
    make(pipe, [TWO], [1], steps=1)
    before = peak_of_plain_sampling(pipe)
    with attach(pipe, settings_of("reference"), [TWO], record_maps=True):
        make(pipe, [TWO], [1], steps=2)
    assert peak_of_plain_sampling(pipe) == before
    assert before > 0
