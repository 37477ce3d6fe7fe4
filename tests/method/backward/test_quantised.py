"""Quantised weights, kept in the ways of hosts: the right gradient passes, or an error says that none does."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.ldm_unet import LdmUNet
from tests.quantised import HasBackward, Packed, Refuses, Rounds, RoundsWithGradient, Unpacks, plain, quantised
from tome_ext.method.backward.autograd import differentiable
from tome_ext.method.backward.quantised import NoGradient, passes, stored
from tome_ext.method.backward.weights import fetched_again


def made():
    torch.manual_seed(0)
    return LdmUNet().double().requires_grad_(False)


def gradients(unet):
    generator = torch.Generator().manual_seed(1)
    leaves = [
        torch.randn(size, generator=generator, dtype=torch.float64).requires_grad_()
        for size in ((2, 4, 6, 6), (2, 5, 24))
    ]
    return torch.autograd.grad(unet(*leaves).square().sum(), leaves)


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("kind", [Unpacks, HasBackward, Refuses])
def test_gradients_are_those_of_the_weights_that_the_stored_ones_stand_for(kind, inference):
    expected = gradients(plain(quantised(made(), kind)))
    with torch.inference_mode(inference and kind is not Refuses):
        unet = quantised(made(), kind)
    before = {name: type(value) for name, value in unet.named_parameters()}
    with differentiable(unet):
        found = gradients(unet)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)
    assert {name: type(value) for name, value in unet.named_parameters()} == before


@pytest.mark.parametrize("kind", [Unpacks, HasBackward])
def test_no_unpacked_weight_is_kept(kind):
    layer = quantised(nn.Linear(40, 40).double(), kind)
    kept = []
    with differentiable(layer):
        given = torch.randn(2, 40, dtype=torch.float64, requires_grad=True)
        layer(given)  # how its gradient is taken is found out now
        with torch.autograd.graph.saved_tensors_hooks(lambda value: kept.append(value.numel()), lambda value: value):
            layer(given)
    assert all(size < 40 * 40 for size in kept)


@pytest.mark.parametrize("kind", [Rounds, RoundsWithGradient])
def test_weights_that_no_right_gradient_passes_through_are_named(kind):
    unet = quantised(made(), kind)
    expected = f"the weights are quantised (weight is int8), and no gradient passes through them in {kind.__name__}"
    with differentiable(unet), pytest.raises(NoGradient) as raised:
        gradients(unet)
    assert str(raised.value) == expected
    assert not [name for name, module in unet.named_modules() if "forward" in vars(module)]


def test_ordinary_weights_are_not_tried(monkeypatch):
    monkeypatch.setattr("tome_ext.method.backward.weights.passes", lambda *_: pytest.fail("tried"))
    layer = nn.Linear(2, 2).to(torch.float8_e4m3fn)
    layer.forward = lambda x: functional.linear(x, layer.weight.to(x.dtype))
    with fetched_again(layer):
        layer(torch.ones(1, 2, requires_grad=True))


def test_each_kind_of_operation_is_tried_once(monkeypatch):
    tried = []
    monkeypatch.setattr(
        "tome_ext.method.backward.weights.passes", lambda run, given: tried.append(1) or passes(run, given)
    )
    unet = quantised(nn.Sequential(*[nn.Linear(4, 4) for _ in range(5)]).double(), Unpacks)
    with differentiable(unet):
        unet(torch.randn(1, 4, dtype=torch.float64, requires_grad=True))
        unet(torch.randn(1, 4, dtype=torch.float64, requires_grad=True))
    assert len(tried) == 1


def test_how_weights_are_stored_is_named():
    layer = nn.Linear(2, 2)
    assert stored(layer) == ""
    assert stored(layer.to(torch.float8_e4m3fn)) == ""
    layer.weight = nn.Parameter(torch.zeros(2, 2, dtype=torch.uint8), requires_grad=False)
    assert stored(layer) == "weight is uint8"
    layer.weight = nn.Parameter(Packed(torch.zeros(2, 2)), requires_grad=False)
    assert stored(layer) == "weight is a Packed"
    del layer.weight
    layer.register_buffer("qweight", torch.zeros(2, 2, dtype=torch.int32))
    assert stored(layer) == "qweight is int32"


def test_lack_of_memory_is_no_lack_of_gradient():
    def run(given):
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        passes(run, torch.ones(2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_narrow_numbers_pass(dtype):
    torch.manual_seed(0)
    layer = nn.Linear(64, 64).to(dtype).requires_grad_(False)
    given = torch.randn(3, 64).to(dtype)
    assert passes(layer, given)
    assert not passes(lambda x: layer(x) + 0.3 * layer(x).detach(), given)
