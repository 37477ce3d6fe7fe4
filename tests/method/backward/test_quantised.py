"""Quantised weights, kept in the ways of hosts: the right gradient passes, or an error says that none does."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.ldm_unet import LdmUNet
from tome_ext.method.backward.autograd import differentiable
from tome_ext.method.backward.quantised import NoGradient, passes, stored
from tome_ext.method.backward.weights import fetched_again

SCALE = 64


class PackedParameter(nn.Parameter):
    """GGUF on Forge: bytes that say they have the shape of the weight; two of its numbers share one."""

    def __new__(cls, weight):
        codes = (weight.detach() * SCALE).round().clamp(-8, 7).to(torch.int16) + 8
        flat = functional.pad(codes.flatten(), (0, codes.numel() % 2)).view(-1, 2)
        made = super().__new__(cls, (flat[:, 0] * 16 + flat[:, 1]).to(torch.uint8), requires_grad=False)
        made.real_shape = weight.shape
        return made

    @property
    def shape(self):
        return self.real_shape

    def dequantized(self, dtype):
        raw = self.data.to(torch.int16)
        codes = torch.stack([raw // 16, raw % 16], 1).flatten()[: self.real_shape.numel()]
        return (codes.view(self.real_shape) - 8).to(dtype) / SCALE


class Packed(torch.Tensor):
    """ComfyUI's and Forge Neo's: a tensor that says it holds floats; there is no memory of floats behind it."""

    @staticmethod
    def __new__(cls, weight):
        made = torch.Tensor._make_wrapper_subclass(cls, weight.shape, dtype=torch.float64)
        made.codes = (weight.detach() * SCALE).round().to(torch.int8)
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.detach.default:
            return args[0]
        args = [one.dequantize() if isinstance(one, Packed) else one for one in args]
        return func(*args, **(kwargs or {}))

    def dequantize(self):
        return self.codes.double() / SCALE


class Unpacks(nn.Linear):
    """Unpacks its weight for each call."""

    def forward(self, x):
        return functional.linear(x, self.weight.dequantized(x.dtype), self.bias)


class Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.weight = weight
        return functional.linear(x, weight.dequantized(x.dtype))

    @staticmethod
    def backward(ctx, gradient):
        return gradient @ ctx.weight.dequantized(gradient.dtype), None


class HasBackward(nn.Linear):
    """bitsandbytes: an operation with a backward pass of its own."""

    def forward(self, x):
        return Backward.apply(x, self.weight) + (0 if self.bias is None else self.bias)


class Refuses(nn.Linear):
    """Forge Neo's mixed precision: takes no input that asks for a gradient, and computes in rows."""

    def forward(self, x):
        assert not x.requires_grad
        made = functional.linear(x.reshape(-1, x.shape[-1]), self.weight, self.bias)
        return made.reshape(*x.shape[:-1], -1)


class Rounds(nn.Linear):
    """int8 with a product of whole numbers: no gradient."""

    @torch.no_grad()
    def forward(self, x):
        size = x.abs().amax(-1, keepdim=True) / 127
        product = (x / size).round().to(torch.int32) @ self.weight.to(torch.int32).T
        return product * size / SCALE + (0 if self.bias is None else self.bias)


class RoundsWithGradient(Rounds):
    """The same, where autograd follows the scale alone: a gradient, and a wrong one."""

    forward = Rounds.forward.__wrapped__


WEIGHTS = {Unpacks: PackedParameter, HasBackward: PackedParameter, Refuses: Packed}


def quantised(unet, kind):
    """``unet`` with all its linear layers of a kind, and the weights that they stand for in ``plain``."""
    for module in unet.modules():
        if type(module) is not nn.Linear:
            continue
        if kind in WEIGHTS:
            weight = WEIGHTS[kind](module.weight)
            module.weight = weight if isinstance(weight, nn.Parameter) else nn.Parameter(weight, requires_grad=False)
        else:
            codes = (module.weight.detach() * SCALE).round().to(torch.int8)
            module.weight = nn.Parameter(codes, requires_grad=False)
        module.__class__ = kind
    return unet


def plain(unet):
    """``unet`` with ordinary linear layers of the same values."""
    for module in unet.modules():
        if isinstance(module, nn.Linear) and type(module) is not nn.Linear:
            weight = module.weight
            value = weight.dequantize() if isinstance(weight, Packed) else weight.dequantized(torch.float64)
            module.__class__ = nn.Linear
            module.weight = nn.Parameter(value, requires_grad=False)
    return unet


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
