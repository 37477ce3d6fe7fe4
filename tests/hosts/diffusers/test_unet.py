"""UNets that are compiled, fused or loaded under inference_mode are refined like any other."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from tests.hosts.diffusers.sampling import TWO, bind, hooks, make, quiet, settings_of
from tome_ext.embedded.random_model import random_pipeline
from tome_ext.hosts.diffusers import attach
from tome_ext.hosts.diffusers.unet import before_each_call, recordable

CLOSE = 5e-3


@pytest.fixture(scope="module")
def refined(sdxl):
    """The plain picture, and the one that is refined in the ordinary way."""
    plain = make(sdxl, [TWO], [1], steps=1)
    return plain, bind(sdxl, settings_of(), [TWO], [1], steps=1)[0]


@pytest.fixture
def own(sdxl):
    """A pipeline with a UNet of its own."""
    pipe = quiet(type(sdxl)(**{**sdxl.components, "unet": copy.deepcopy(sdxl.unet)}, add_watermarker=False))
    yield pipe
    torch._dynamo.reset()


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
    own.unet = torch.compile(own.unet, backend="eager")
    make(own, [TWO], [1], steps=1)
    alike(own, refined)


def test_a_unet_with_a_compiled_forward(own, refined):
    compiled = own.unet.forward = torch.compile(own.unet.forward, backend="eager")
    make(own, [TWO], [1], steps=1)
    alike(own, refined)
    assert own.unet.forward is compiled


def test_a_unet_compiled_in_place(own, refined):
    own.unet.compile(backend="eager")
    make(own, [TWO], [1], steps=1)
    compiled = own.unet._compiled_call_impl
    with attach(own, settings_of(), TWO):
        with pytest.raises(RuntimeError, match="attached"), attach(own, settings_of(), TWO):
            raise AssertionError("not reached")
        assert own.unet._compiled_call_impl is not compiled
    assert own.unet._compiled_call_impl is compiled
    alike(own, refined)


def test_blocks_compiled_in_place(own, refined):
    for block in own.unet.up_blocks:
        block.compile(backend="eager")
    make(own, [TWO], [1], steps=1)
    alike(own, refined)
    assert all(block._compiled_call_impl is not None for block in own.unet.up_blocks)


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
    unet = random_pipeline().unet
    unet.compile(backend="eager")
    before = dict(vars(unet))
    with pytest.raises(KeyError), recordable(unet):
        assert unet._compiled_call_impl is None
        raise KeyError
    assert vars(unet) == before


def test_a_hook_in_front_of_a_compiled_call_may_leave_the_arguments():
    module = torch.nn.Identity()
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
