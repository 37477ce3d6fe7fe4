"""Linear layers with quantised weights, kept in the ways of hosts."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

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
