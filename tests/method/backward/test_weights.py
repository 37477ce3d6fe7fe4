"""Hosts that cast, move or page their weights in for each operation: the same gradients, and no weight is kept."""

from __future__ import annotations

import gc
import weakref
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.ldm_unet import LdmUNet
from tests.models import sdxl_unet, step_of, tokens_of
from tome_ext.method.backward.autograd import differentiable, frozen
from tome_ext.method.backward.checkpointing import checkpointed
from tome_ext.method.backward.memory import plan
from tome_ext.method.backward.weights import copied_bytes, fetched_again
from tome_ext.method.refine import refine
from tome_ext.settings import preset


class Copies:
    """Another copy for each use, as where weights are moved from another device or cast."""

    def fetch(self, weight):
        return weight * 1.0

    @contextmanager
    def lent(self, module):
        """Weight and bias for one operation."""
        yield self.fetch(module.weight), None if module.bias is None else self.fetch(module.bias)


class Buffer(Copies):
    """One piece of memory for all of them, as where weights are paged in; a bias has memory of its own."""

    def __init__(self):
        self.memory = torch.full((200_000,), torch.nan, dtype=torch.float64)

    def fetch(self, weight):
        room = self.memory.to(weight.dtype) if weight.dtype != self.memory.dtype else self.memory
        self.memory = room
        used = room[: weight.numel()].view(weight.shape)
        used.copy_(weight.detach())
        return used

    @contextmanager
    def lent(self, module):
        weight = self.fetch if module.weight.ndim > 1 else super().fetch
        yield weight(module.weight), None if module.bias is None else super().fetch(module.bias)


class InferenceBuffer(Buffer):
    """The same, made when the host sampled: nobody may write to it outside of inference mode."""

    def __init__(self):
        with torch.inference_mode():
            super().__init__()

    def fetch(self, weight):
        assert self.memory.is_inference()
        return super().fetch(weight)


class Inference(Copies):
    """Kept beside the parameters, and made under inference mode."""

    def fetch(self, weight):
        with torch.inference_mode():
            return weight.detach().clone()


class Pages(Copies):
    """ComfyUI's dynamic VRAM: weight and bias lie side by side in memory that others get when the operation is over.

    A module that had room when the host sampled has kept both from then, as inference tensors; the next time it may
    have none.
    """

    def __init__(self):
        self.resident, self.uses = {}, 0

    @contextmanager
    def lent(self, module):
        self.uses += 1
        if self.uses % 2 and module not in self.resident:
            with torch.inference_mode():
                self.resident[module] = self._laid(module)
        there = self.resident.pop(module) if module in self.resident and self.uses % 3 else None
        page, weight, bias = there or self._laid(module)
        yield weight, bias
        with torch.inference_mode():
            page.fill_(torch.nan)

    @staticmethod
    def _laid(module):
        own = [value.detach().flatten() for value in (module.weight, module.bias) if value is not None]
        page = torch.cat(own)
        weight, *bias = page.split([len(value) for value in own])
        return page, weight.view(module.weight.shape), bias[0] if bias else None


HOSTS = [Copies, Buffer, InferenceBuffer, Inference, Pages]


def cast_operations(unet, host):
    """``unet`` with the operations of such a host: the way of Forge's and ComfyUI's, weights come by ``host.lent``."""

    class Linear(nn.Linear):
        def forward(self, x):
            with host.lent(self) as (weight, bias):
                return functional.linear(x, weight, bias)

    class Conv2d(nn.Conv2d):
        def forward(self, x):
            with host.lent(self) as (weight, bias):
                return self._conv_forward(x, weight, bias)

    class Conv1d(nn.Conv1d):
        def forward(self, x):
            with host.lent(self) as (weight, bias):
                return self._conv_forward(x, weight, bias)

    class GroupNorm(nn.GroupNorm):
        def forward(self, x):
            with host.lent(self) as (weight, bias):
                return functional.group_norm(x, self.num_groups, weight, bias, self.eps)

    class LayerNorm(nn.LayerNorm):
        def forward(self, x):
            with host.lent(self) as (weight, bias):
                return functional.layer_norm(x, self.normalized_shape, weight, bias=bias, eps=self.eps)

    kinds = {nn.Linear: Linear, nn.Conv1d: Conv1d, nn.Conv2d: Conv2d, nn.GroupNorm: GroupNorm, nn.LayerNorm: LayerNorm}
    for module in unet.modules():
        if type(module) in kinds:
            module.__class__ = kinds[type(module)]
    return unet


def ldm(in_place=False):
    torch.manual_seed(0)
    return LdmUNet(in_place=in_place).double()


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(2, 4, 6, 6, generator=generator, dtype=torch.float64),
        torch.randn(2, 5, 24, generator=generator, dtype=torch.float64),
    )


def gradients(unet, latents, context):
    """Of the squared prediction, for the latents and the text."""
    leaves = [latents.clone().requires_grad_(), context.clone().requires_grad_()]
    return torch.autograd.grad(unet(*leaves).square().sum(), leaves)


@contextmanager
def kept_by_autograd(unet, found):
    """The bytes that autograd keeps beside the parameters, in ``found``."""
    own = {value.untyped_storage().data_ptr() for value in unet.parameters()}
    seen = {}

    def pack(value):
        if value.untyped_storage().data_ptr() not in own:
            seen[value.untyped_storage().data_ptr()] = (value.untyped_storage().nbytes(), value)
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        yield
    found.append(sum(size for size, _ in seen.values()))


@pytest.mark.parametrize("recomputed", [False, True])
@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("host", HOSTS)
def test_gradients_are_those_of_ordinary_weights(inputs, host, in_place, recomputed):
    plain = gradients(ldm().requires_grad_(False), *inputs)
    unet = cast_operations(ldm(in_place), host())
    with torch.inference_mode(), differentiable(unet):
        latents, context = (value.clone() for value in inputs)
        if recomputed:
            with checkpointed(unet):
                found = gradients(unet, latents, context)
        else:
            found = gradients(unet, latents, context)
    for one, expected in zip(found, plain, strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-10, atol=1e-12)


def test_what_comes_out_of_an_operation_may_be_added_to_in_place():
    """As Forge Neo's transformer blocks do to what their feed-forward layers return, of rows of pixels with a bias."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ff, self.conv = nn.Linear(6, 6), nn.Conv1d(3, 3, 1)

        def forward(self, x):
            made = self.ff(x)
            made += x
            more = self.conv(made)
            more += made
            return more

    torch.manual_seed(0)
    block = Block().double()
    leaf = torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(block(leaf).square().sum(), leaf)
    cast_operations(block, Copies())
    with differentiable(block):
        (found,) = torch.autograd.grad(block(leaf).square().sum(), leaf)
    torch.testing.assert_close(found, expected)


def test_a_unet_made_and_run_under_inference_mode_is_differentiated(inputs):
    plain = gradients(ldm().requires_grad_(False), *inputs)
    with torch.inference_mode():
        unet = cast_operations(ldm(in_place=True), Copies())
        with differentiable(unet):
            found = gradients(unet, *(value.clone() for value in inputs))
    for one, expected in zip(found, plain, strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-10, atol=1e-12)


def test_autograd_keeps_no_copy_of_a_weight(inputs):
    found = []
    for unet in (ldm(), cast_operations(ldm(), Copies())):
        with differentiable(unet), kept_by_autograd(unet, found):
            unet(*(value.clone().requires_grad_() for value in inputs))
    unet = cast_operations(ldm().requires_grad_(False), Copies())
    with kept_by_autograd(unet, found):
        unet(*(value.clone().requires_grad_() for value in inputs))
    plain, ours, copies = found
    weights = sum(value.nbytes for value in unet.parameters())
    norms = sum(value.nbytes for value in unet.parameters() if value.ndim == 1)
    assert ours <= plain + norms
    assert copies > plain + (weights - norms) / 2


def test_a_fetched_weight_lives_no_longer_than_its_operation(inputs):
    alive = []

    class Watched(Copies):
        def fetch(self, weight):
            gc.collect()
            made = super().fetch(weight)
            alive.append((weakref.ref(made), sum(one() is not None for one, _ in alive)))
            return made

    unet = cast_operations(nn.Sequential(*[nn.Linear(6, 6) for _ in range(5)]), Watched())
    with differentiable(unet):
        leaf = torch.randn(2, 6).requires_grad_()
        torch.autograd.grad(unet(leaf).sum(), leaf)
    assert len(alive) == 20  # weight and bias, there and back
    assert max(count for _, count in alive) <= 2


@pytest.mark.parametrize("host", HOSTS)
def test_refined_tokens_are_those_of_ordinary_weights(host):
    tokens, settings = tokens_of([2], dtype=torch.float64), preset("paper").replace(iterations=2)
    expected, _, _ = refine(step_of(sdxl_unet().double(), 1), tokens, settings)
    unet = cast_operations(sdxl_unet().double(), host())
    with differentiable(unet):
        found, _, report = refine(step_of(unet, 1), tokens, settings)
    assert report.updates
    assert not torch.equal(found.context, tokens.context)
    torch.testing.assert_close(found.context, expected.context, rtol=1e-9, atol=1e-10)


def test_a_loss_may_be_differentiated_twice(inputs):
    """Narrow number formats try another scale when gradients overflow."""
    unet = cast_operations(ldm(), Buffer())
    with differentiable(unet):
        leaf = inputs[1].clone().requires_grad_()
        loss = unet(inputs[0].clone(), leaf).square().sum()
        (first,) = torch.autograd.grad(loss, leaf, retain_graph=True)
        (second,) = torch.autograd.grad(loss * 2, leaf)
    assert torch.equal(second, first * 2)


def test_weights_in_fp8_are_cast_again(inputs):
    """The gradient is that of the weights as they are stored, through convolutions with a stride as well."""

    class Cast(Copies):
        def fetch(self, weight):
            return weight.to(torch.float64)

    def made():
        torch.manual_seed(3)
        return nn.Sequential(nn.Conv2d(4, 8, 3, padding=1, stride=2), nn.GroupNorm(2, 8), nn.Conv2d(8, 4, 1)).double()

    stored = made()
    for value in stored.parameters():
        value.data = value.data.to(torch.float8_e4m3fn)
    same = made()
    for value, other in zip(same.parameters(), stored.parameters(), strict=True):
        value.data = other.data.to(torch.float64)
    leaf = inputs[0].clone().requires_grad_()
    (expected,) = torch.autograd.grad(same(leaf).square().sum(), leaf)
    unet = cast_operations(stored, Cast())
    with differentiable(unet):
        (found,) = torch.autograd.grad(unet(leaf).square().sum(), leaf)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_operations_on_the_parameters_themselves_run_untouched(inputs, monkeypatch):
    monkeypatch.setattr("tome_ext.method.backward.weights._Affine.apply", lambda *_: pytest.fail("taken over"))
    unet = ldm().requires_grad_(False)
    with fetched_again(unet):
        unet(*(value.clone().requires_grad_() for value in inputs))
    with fetched_again(cast_operations(unet, Copies())), pytest.raises(pytest.fail.Exception, match="taken over"):
        unet(*(value.clone().requires_grad_() for value in inputs))


def test_everything_is_put_back_and_what_others_replaced_within_stays_theirs():
    unet = cast_operations(ldm(), Copies())
    theirs = unet.out.forward
    first = unet.input_blocks[0][0]
    first.forward = mine = first.forward
    before = {name for name, module in unet.named_modules() if "forward" in vars(module)}
    with pytest.raises(RuntimeError, match="within"), fetched_again(unet):
        assert {name for name, module in unet.named_modules() if "forward" in vars(module)} > before
        unet.out.forward = theirs
        raise RuntimeError("within")
    assert {name for name, module in unet.named_modules() if "forward" in vars(module)} == before | {"out"}
    assert first.forward is mine
    assert unet.out.forward is theirs


def test_a_module_that_loses_the_gradient_is_an_error_and_no_zero():
    class Rounded(nn.Linear):
        def forward(self, x):
            return functional.linear(x.detach().round(), self.weight, self.bias)

    unet = nn.Sequential(Rounded(4, 4), nn.Linear(4, 4)).requires_grad_(False)
    with differentiable(unet), pytest.raises(RuntimeError, match="no gradient passes through Rounded"):
        unet(torch.randn(1, 4, requires_grad=True))


def test_an_operation_with_a_backward_pass_of_its_own_keeps_it():
    class Quantised(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            ctx.weight = weight
            return functional.linear(x, weight * 0.5)

        @staticmethod
        def backward(ctx, gradient):
            return gradient @ (ctx.weight * 0.5), None

    class Linear(nn.Linear):
        def forward(self, x):
            return Quantised.apply(x, self.weight.detach())

    unet = Linear(3, 3).requires_grad_(False)
    leaf = torch.randn(2, 3, requires_grad=True)
    with differentiable(unet):
        (found,) = torch.autograd.grad(unet(leaf).sum(), leaf)
    torch.testing.assert_close(found, torch.ones(2, 3) @ (unet.weight * 0.5))


def test_inference_parameters_keep_asking_for_a_gradient():
    with torch.inference_mode():
        unet = nn.Linear(2, 2)
    assert unet.weight.requires_grad
    with frozen(unet):
        pass
    assert unet.weight.requires_grad


def test_memory_counts_what_a_host_copies():
    unet = sdxl_unet()
    device = torch.device("cpu")
    assert copied_bytes(unet, device) == 0
    elsewhere = torch.device("meta")
    everything = sum(value.nbytes for value in unet.parameters())
    assert copied_bytes(unet, elsewhere) == everything
    with fetched_again(unet):
        largest = max(sum(v.nbytes for v in module.parameters(recurse=False)) for module in unet.modules())
        assert copied_bytes(unet, elsewhere) == largest < everything / 10
    stored = nn.Linear(4, 4, bias=False).to(torch.float8_e4m3fn)
    assert copied_bytes(stored, device) == 2 * 16


def test_a_plan_leaves_room_for_the_copies(monkeypatch):
    step, tokens = step_of(sdxl_unet(), 1), tokens_of([2])
    monkeypatch.setattr("tome_ext.method.backward.memory.free_memory", lambda device: 10**9)
    assert not plan(step, tokens, preset("paper")).checkpointing
    monkeypatch.setattr("tome_ext.method.backward.memory.copied_bytes", lambda unet, device: 10**9)
    assert plan(step, tokens, preset("paper")).checkpointing
