"""UNets that are compiled, fused or loaded under inference_mode are refined like any other."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from tests.hosts.diffusers.sampling import TWO, bind, hooks, make, quiet, settings_of
from tome_ext.embedded.random_model import random_pipeline
from tome_ext.hosts.diffusers import attach
from tome_ext.hosts.diffusers.unet import before_each_call, inner, recordable

CLOSE = 5e-3


@pytest.fixture(scope="module")
def refined(sdxl):
    """The plain picture, and the one that is refined in the ordinary way."""
    plain = make(sdxl, [TWO], [1], steps=1)
    return plain, bind(sdxl, settings_of(), [TWO], [1], steps=1)[0]


@pytest.fixture
def own(sdxl):
    """A pipeline with a UNet of its own."""
    return quiet(type(sdxl)(**{**sdxl.components, "unet": copy.deepcopy(sdxl.unet)}, add_watermarker=False))


class Compiled(nn.Module):
    """As ``torch.compile(unet)``: what was traced before runs, and hooks of a later day are not seen."""

    def __init__(self, unet):
        super().__init__()
        self._orig_mod, self._traced = unet, [copy.deepcopy(unet)]

    def __getattr__(self, name):
        own = self.__dict__["_modules"]
        return own[name] if name in own else getattr(own["_orig_mod"], name)

    def forward(self, *args, **kwargs):
        return self._traced[0](*args, **kwargs)


def alike(pipe, refined):
    """ToMe on ``pipe`` gives the same refined picture, and leaves the plain one as it was."""
    plain, expected = refined
    images, report = bind(pipe, settings_of(), [TWO], [1], steps=1)
    assert report[0].warnings == []
    assert report[0].losses
    assert np.abs(images - expected).max() < CLOSE < np.abs(images - plain).max()
    assert np.abs(make(pipe, [TWO], [1], steps=1) - plain).max() < CLOSE
    assert not hooks(pipe)


def test_a_compiled_unet(own, refined):
    own.unet = Compiled(own.unet)
    alike(own, refined)


def test_a_unet_with_a_compiled_forward(own, refined):
    compiled = partial(copy.deepcopy(own.unet).forward)
    compiled._torchdynamo_orig_callable = own.unet.forward
    own.unet.forward = compiled
    alike(own, refined)
    assert own.unet.forward is compiled


def test_a_unet_compiled_in_place(own, refined):
    own.unet._compiled_call_impl = compiled = partial(copy.deepcopy(own.unet))
    with (
        attach(own, settings_of(), TWO),
        pytest.raises(RuntimeError, match="attached"),
        attach(own, settings_of(), TWO),
    ):
        raise AssertionError("not reached")
    alike(own, refined)
    assert own.unet._compiled_call_impl is compiled


def test_blocks_compiled_in_place(own, refined):
    for block in own.unet.up_blocks:
        block._compiled_call_impl = partial(copy.deepcopy(block))
    alike(own, refined)
    assert all(block._compiled_call_impl is not None for block in own.unet.up_blocks)


def whole(model):
    return torch.compile(model, backend="eager")


def in_place(model):
    model.compile(backend="eager")
    return model


def part_in_place(model):
    model[0].compile(backend="eager")
    return model


def forward(model):
    model.forward = torch.compile(model.forward, backend="eager")
    return model


@pytest.mark.parametrize("compiled", [whole, in_place, part_in_place, forward])
def test_layers_of_what_torch_compiled_can_be_recorded(compiled):
    """The real compiler, on a small model."""
    model = compiled(nn.Sequential(nn.Sequential(nn.Linear(2, 2)), nn.ReLU()))
    expected = model(torch.ones(2))
    seen = []
    with recordable(inner(model)):
        inner(model)[0][0].register_forward_hook(lambda *_: seen.append(1))
        found = inner(model).forward(torch.ones(2))
    assert seen == [1]
    assert torch.equal(found, expected)


def test_fused_projections(own, refined):
    own.fuse_qkv_projections(vae=False)
    processors = dict(own.unet.attn_processors)
    alike(own, refined)
    assert own.unet.attn_processors == processors


def test_fused_projections_without_the_separate_ones(own, refined):
    own.fuse_qkv_projections(vae=False)
    for name, module in own.unet.named_modules():
        if name.endswith("attn2"):
            del module.to_k
    images, report = bind(own, settings_of(), [TWO], [1], steps=1)
    assert "fused and the separate ones are gone" in report[0].failure
    assert np.isfinite(images).all()


def test_recordable_restores_everything_after_an_error():
    model = forward(in_place(nn.Sequential(nn.Linear(2, 2))))
    before = dict(vars(model))
    with pytest.raises(KeyError), recordable(model):
        assert model._compiled_call_impl is None
        raise KeyError
    assert vars(model) == before


def test_a_hook_in_front_of_a_compiled_call_may_leave_the_arguments():
    module = nn.Identity()
    module.compile(backend="eager")
    with before_each_call(module, lambda *_: None):
        assert module(3) == 3
    with before_each_call(module, lambda *_: ((5,), {})):
        assert module(3) == 5
    assert module(3) == 3


@pytest.mark.parametrize("name", ["balanced", "reference"])
@pytest.mark.parametrize("around", ["everything", "the call"])
def test_inference_mode(sdxl, name, around):
    settings = settings_of(name)
    expected, _ = bind(sdxl, settings, [TWO], [1], steps=1)
    with torch.inference_mode(around == "everything"), attach(sdxl, settings, TWO) as tome, torch.inference_mode():
        images = make(sdxl, [TWO], [1], steps=1)
    assert tome.report[0].warnings == []
    assert tome.report[0].losses
    assert np.abs(images - expected).max() < CLOSE


def test_a_pipeline_that_was_loaded_under_inference_mode(refined):
    with torch.inference_mode():
        pipe = quiet(random_pipeline())
        images, report = bind(pipe, settings_of(), [TWO], [1], steps=1)
    assert report[0].warnings == []
    assert np.abs(images - refined[1]).max() < CLOSE
    assert all(parameter.is_inference() for parameter in pipe.unet.parameters())
