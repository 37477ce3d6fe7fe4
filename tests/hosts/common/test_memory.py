"""A try with less memory, and none of the failed one's tensors beside it."""

from __future__ import annotations

import weakref

import pytest
import torch

from tome_ext.hosts.common.memory import out_of_memory, with_less_memory
from tome_ext.method.backward.quantised import NoGradient
from tome_ext.settings import Settings


def short():
    return torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


class Work:
    """Raises what each of the ``errors`` returns in turn, then gives its settings' checkpointing; notes all of it."""

    def __init__(self, *errors):
        self.errors, self.events, self.held = list(errors), [], []

    def __call__(self, settings):
        self.events.append(settings.checkpointing)
        activations = torch.zeros(3)
        self.held.append(weakref.ref(activations))
        if self.errors:
            raise self.errors.pop(0)()
        return settings.checkpointing

    def release(self):
        assert self.held[-1]() is None, "memory is given back while the failed pass still holds its own"
        self.events.append("release")

    def report(self, error):
        self.events.append(str(error))

    def run(self, **settings):
        return with_less_memory(self, Settings(**settings), release=self.release, report=self.report)


def test_what_succeeds_is_not_repeated():
    work = Work()
    attempt = work.run()
    assert (attempt.result, attempt.failure, work.events) == ("auto", "", ["auto"])


def test_short_memory_is_tried_again_with_checkpointing():
    work = Work(short)
    attempt = work.run()
    assert (attempt.result, attempt.settings.checkpointing) == ("on", "on")
    assert work.events == ["auto", "release", "on"]


def test_memory_that_is_still_short_is_given_up():
    work = Work(short, short)
    attempt = work.run()
    assert (attempt.result, attempt.short_of_memory) == (None, True)
    assert "OutOfMemoryError: CUDA out of memory" in attempt.failure
    assert work.events == ["auto", "release", "on", "release"]


@pytest.mark.parametrize("chosen", ["on", "off"])
def test_checkpointing_by_choice_is_not_changed(chosen):
    work = Work(short)
    attempt = work.run(checkpointing=chosen)
    assert (attempt.result, attempt.settings.checkpointing) == (None, chosen)
    assert work.events == [chosen, "release"]


def test_other_errors_are_reported_and_not_tried_again():
    work = Work(lambda: ValueError("broken"))
    attempt = work.run()
    assert (attempt.result, attempt.failure, attempt.short_of_memory) == (
        None,
        "refinement failed so there is none from here on: ValueError: broken",
        False,
    )
    assert work.events == ["auto", "broken", "release"]


def test_weights_that_no_gradient_passes_through_are_no_fault():
    work = Work(lambda: NoGradient("the weights are quantised"))
    attempt = work.run()
    assert (attempt.result, attempt.failure) == (None, "tokens are merged, not refined: the weights are quantised")
    assert work.events == ["auto", "release"]


def test_an_interrupt_goes_through():
    with pytest.raises(KeyboardInterrupt):
        Work(KeyboardInterrupt).run()


@pytest.mark.parametrize(
    "error",
    [
        short(),
        MemoryError(),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_every_device_says_in_its_own_way_that_memory_is_short(error):
    assert out_of_memory(error)
    assert not out_of_memory(RuntimeError("the sizes do not match"))
