"""A UNet as Forge has it: made under ``inference_mode``, adding its residuals in place."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from tests.ldm_unet import LdmUNet
from tome_ext.method.attention import AttentionRecorder
from tome_ext.method.backward.autograd import differentiable, ordinary
from tome_ext.method.backward.checkpointing import checkpointed
from tome_ext.method.layers import select_layers


def made(seed: int = 0, **more) -> LdmUNet:
    torch.manual_seed(seed)
    return LdmUNet(**more).double()


@pytest.fixture
def unet():
    """As the host leaves it: parameters and a buffer that autograd refuses, half of them asking for a gradient."""
    with torch.inference_mode():
        unet = made(in_place=True)
        unet.register_buffer("scale", torch.full((), 2.0, dtype=torch.float64))
        unet.out.bias.requires_grad_(False)
    return unet


@pytest.fixture
def same():
    """The same weights, made and added to as autograd likes it."""
    unet = made(in_place=False)
    return unet.requires_grad_(False)


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(2, 4, 6, 6, generator=generator, dtype=torch.float64),
        torch.randn(2, 5, 24, generator=generator, dtype=torch.float64),
    )


def loss_of(unet, latents, context):
    return unet(latents, context).square().sum()


def gradient(unet, latents, context):
    leaf = context.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss_of(unet, latents, leaf), leaf)
    return found


def state(unet):
    """Everything that could be left behind: which tensors, what they hold and ask for, hooks and forwards."""
    return {
        "tensors": {name: id(value) for name, value in [*unet.named_parameters(), *unet.named_buffers()]},
        "memory": {name: value.data_ptr() for name, value in unet.named_parameters()},
        "refused": {name for name, value in [*unet.named_parameters(), *unet.named_buffers()] if value.is_inference()},
        "asking": {name for name, value in unet.named_parameters() if value.requires_grad},
        "hooks": [(len(part._forward_pre_hooks), len(part._forward_hooks)) for part in unet.modules()],
        "forwards": [name for name, part in unet.named_modules() if "forward" in part.__dict__],
        "modes": (torch.is_inference_mode_enabled(), torch.is_grad_enabled()),
    }


def test_without_it_no_gradient_passes(unet, inputs):
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        pytest.raises(RuntimeError, match="Inference tensors cannot be saved"),
    ):
        gradient(unet, *inputs)


def test_in_place_residuals_alone_are_refused_too(inputs):
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        gradient(made(in_place=True).requires_grad_(False), *inputs)


def test_the_gradient_is_that_of_an_ordinary_unet(unet, same, inputs):
    with torch.inference_mode(), differentiable(unet):
        found = gradient(unet, *inputs)
    torch.testing.assert_close(found, gradient(same, *inputs), rtol=1e-12, atol=1e-14)


def test_the_gradient_agrees_with_finite_differences(unet, inputs):
    latents, context = inputs
    direction = torch.randn_like(context)
    with torch.inference_mode():
        with differentiable(unet):
            slope = float((gradient(unet, latents, context) * direction).sum())
        step = 1e-5
        ends = [float(loss_of(unet, latents, context + sign * step * direction)) for sign in (1, -1)]
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6)


def test_a_gradient_to_the_latents_passes_as_well(unet, same, inputs):
    latents, context = inputs

    def found(of):
        leaf = latents.clone().requires_grad_()
        return torch.autograd.grad(loss_of(of, leaf, context), leaf)[0]

    with torch.inference_mode(), differentiable(unet):
        ours = found(unet)
    torch.testing.assert_close(ours, found(same), rtol=1e-12, atol=1e-14)


def change(module, inputs, output):
    """As another extension's patch: uses what the UNet has computed, and then changes it in place."""
    scaled = output[:, :4] * (1 + output.mean(1, keepdim=True))
    output[:, :4] = scaled
    return output


@pytest.mark.parametrize("recompute", [False, True])
def test_others_may_change_hidden_states_in_place(unet, same, inputs, recompute):
    def as_one_value(module, inputs, output):
        return torch.cat([output[:, :4] * (1 + output.mean(1, keepdim=True)), output[:, 4:]], 1)

    for of, hook in ((unet, change), (same, as_one_value)):
        of.output_blocks[0][0].register_forward_hook(hook)
    with torch.inference_mode():
        with differentiable(unet), pytest.raises(RuntimeError, match="modified by an inplace operation"):
            gradient(unet, *inputs)
        with differentiable(unet, changing=True), checkpointed(unet) if recompute else nullcontext():
            found = gradient(unet, *inputs)
    torch.testing.assert_close(found, gradient(same, *inputs), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("error", [None, RuntimeError("out of memory"), KeyboardInterrupt()])
@pytest.mark.parametrize("mode", [True, False])
def test_everything_is_as_before_whatever_happens(unet, inputs, error, mode):
    with torch.inference_mode(mode), torch.no_grad():
        before, plain = state(unet), unet(*inputs)
        if error is None:
            with differentiable(unet):
                gradient(unet, *inputs)
        else:
            with pytest.raises(type(error)), differentiable(unet):
                gradient(unet, *inputs)
                raise error
        assert state(unet) == before
        assert torch.equal(unet(*inputs), plain)
    assert before["refused"]
    assert before["asking"]


def test_a_failure_within_the_unet_leaves_nothing(unet, inputs):
    before = state(unet)

    def stop(*_):
        raise InterruptedError

    handle = unet.output_blocks[0][1].register_forward_pre_hook(stop)
    with pytest.raises(InterruptedError), torch.inference_mode(), differentiable(unet):
        gradient(unet, *inputs)
    handle.remove()
    assert state(unet) == before


def test_it_does_nothing_to_an_ordinary_model_but_freeze_it(same, inputs):
    same.requires_grad_(True)
    before = state(same)
    with differentiable(same):
        assert not any(parameter.requires_grad for parameter in same.parameters())
        assert {name: id(value) for name, value in same.named_parameters()} == before["tensors"]
    assert state(same) == before


def test_no_weight_is_copied_or_asks_for_a_gradient(unet):
    before = state(unet)
    with torch.inference_mode(), differentiable(unet):
        assert not any(value.is_inference() or value.requires_grad for value in unet.parameters())
        assert not unet.scale.is_inference()
        assert {name: value.data_ptr() for name, value in unet.named_parameters()} == before["memory"]
    assert unet.scale.is_inference()


def test_a_weight_that_is_used_twice_stays_one(unet):
    with torch.inference_mode():
        unet.output_blocks[0][0] = unet.output_blocks[1][0]
        unet.out.alias = unet.input_blocks[0][0].bias
    before = state(unet)
    with differentiable(unet):
        assert unet.out.alias is unet.input_blocks[0][0].bias
    assert state(unet) == before


def test_what_a_host_keeps_on_a_weight_is_there(unet):
    unet.out.weight.patched = {"by": "a LoRA"}
    with differentiable(unet):
        assert unet.out.weight.patched == {"by": "a LoRA"}
    assert unet.out.weight.patched == {"by": "a LoRA"}


def test_a_weight_replaced_within_is_left_to_who_did_so(unet):
    with differentiable(unet):
        unet.out.weight = other = nn.Parameter(torch.zeros_like(unet.out.weight))
    assert unet.out.weight is other


def test_a_weight_moved_within_has_moved(unet, inputs):
    original = unet.out.weight
    with torch.inference_mode():
        plain = unet(*inputs)
        with differentiable(unet):
            moved = unet.out.weight.data.clone()
            unet.out.weight.data = moved
        assert unet.out.weight is original
        assert original.data_ptr() == moved.data_ptr()
        assert original.is_inference()
        assert torch.equal(unet(*inputs), plain)


@pytest.mark.parametrize("recompute", [False, True])
def test_recorded_maps_have_a_gradient_too(unet, same, inputs, recompute):
    def found(of, inside):
        leaf = inputs[1].clone().requires_grad_()
        with inside, AttentionRecorder(select_layers(of, "paper"), stop=True) as recorder:
            recorder.run(lambda: of(inputs[0], leaf))
            return torch.autograd.grad(recorder.probabilities().square().sum(), leaf)[0]

    expected = found(same, nullcontext())
    with torch.inference_mode(), differentiable(unet):
        ours = found(unet, checkpointed(unet) if recompute else nullcontext())
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-9)
    assert expected.abs().max() > 1e-6


@pytest.mark.parametrize("recompute", [False, True])
def test_it_composes_with_activation_checkpointing(unet, same, inputs, recompute):
    before = state(unet)
    with torch.inference_mode(), differentiable(unet):
        if recompute:
            with checkpointed(unet):
                found = gradient(unet, *inputs)
        else:
            found = gradient(unet, *inputs)
    torch.testing.assert_close(found, gradient(same, *inputs), rtol=1e-12, atol=1e-14)
    assert state(unet) == before


class Cast(nn.Module):
    """A layer as hosts have it for other storage: its weight is cast when it computes."""

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = nn.Parameter(layer.weight.detach().to(dtype))

    def forward(self, x):
        return nn.functional.linear(x, self.weight.to(x.dtype))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn])
def test_weights_stored_in_less_than_they_compute_in(inputs, dtype):
    def with_casts(unet):
        for part in unet.modules():
            for name in ("to_q", "to_k", "to_v"):
                if hasattr(part, name):
                    setattr(part, name, Cast(getattr(part, name), dtype))
        return unet

    with torch.inference_mode():
        unet = with_casts(made(in_place=True))
    before = state(unet)
    with torch.inference_mode(), differentiable(unet):
        found = gradient(unet, *inputs)
    same = with_casts(made(in_place=False)).requires_grad_(False)
    torch.testing.assert_close(found, gradient(same, *inputs), rtol=1e-12, atol=1e-14)
    assert state(unet) == before


def test_what_is_made_in_ordinary_mode_may_take_part_in_a_gradient():
    with torch.inference_mode():
        theirs = torch.ones(3)
        with ordinary():
            ours = theirs.clone() * 2
            assert not torch.is_grad_enabled()
        assert not (theirs * 2).requires_grad
    assert theirs.is_inference()
    assert not ours.is_inference()
    leaf = torch.ones(3, requires_grad=True)
    assert torch.autograd.grad((leaf * ours).sum(), leaf)[0].tolist() == [2, 2, 2]
