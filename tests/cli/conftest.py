"""A stand-in for the diffusers host, and the random pipeline shared by the tests of the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import pytest
import torch

from tome_ext.cli import models
from tome_ext.embedded.random_model import random_pipeline
from tome_ext.prompts.groups import Group, Reading, Span


def _report(prompt: str, maps: bool) -> SimpleNamespace:
    noun = Span(0, 1, prompt[:1])
    ramp = torch.linspace(0, 1, 64).reshape(8, 8)
    return SimpleNamespace(
        groups=Reading(prompt, "stub", (Group(noun, (Span(1, 3, prompt[1:3]),), prompt),), noun.text),
        warnings=[f"about {prompt}"],
        losses=[],
        failure="",
        maps=[("first", ramp), ("second", ramp.flip(0))] if maps else [],
    )


@contextmanager
def _attach(
    pipe, settings, prompts, *, images_per_prompt=1, clean=None, record_maps=False
) -> Iterator[SimpleNamespace]:
    """Scales the conditioning by the noun weight, so that pictures differ as the settings do."""

    def weigh(module, args, kwargs):
        return args, {**kwargs, "encoder_hidden_states": kwargs["encoder_hidden_states"] * settings.noun_weight / 2}

    handle = pipe.unet.register_forward_pre_hook(weigh, with_kwargs=True)
    try:
        yield SimpleNamespace(report=[_report(p, record_maps) for p in prompts for _ in range(images_per_prompt)])
    finally:
        handle.remove()


@pytest.fixture
def stub_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-in where the command line looks for the host."""
    module = ModuleType("tome_ext.hosts.diffusers")
    module.attach = _attach  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tome_ext.hosts.diffusers", module)


@pytest.fixture(scope="session")
def pipeline():
    """One random SDXL pipeline for all tests."""
    return random_pipeline()


@pytest.fixture
def one_pipeline(monkeypatch: pytest.MonkeyPatch, pipeline) -> None:
    """Spare the tests that run ``generate`` the building of the model."""
    monkeypatch.setattr(models, "_embedded", lambda model: pipeline)
    monkeypatch.setattr(pipeline, "scheduler", pipeline.scheduler)  # put back after a test with --scheduler
