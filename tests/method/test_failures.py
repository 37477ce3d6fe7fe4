"""What goes wrong inside refinement stays inside, and is reported."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tests.models import sdxl_unet, step_of, tokens_of
from tome_ext.method.descent import gradients
from tome_ext.method.refine import refine
from tome_ext.method.state import Losses, Tokens
from tome_ext.settings import Settings, declaration


class Interrupted(Exception):
    pass


@pytest.fixture(scope="module")
def unet():
    return sdxl_unet()


def hooks(unet):
    return [n for n, m in unet.named_modules() if m._forward_hooks or m._forward_pre_hooks]


@pytest.mark.parametrize("order", ["joint", "separate"])
def test_a_nan_gradient_leaves_the_last_good_token(unet, order):
    """Object 1's gradient is NaN from the second iteration on; object 0 goes on."""
    calls = []

    class Poison(torch.autograd.Function):
        @staticmethod
        def forward(ctx, context):
            return context.clone()

        @staticmethod
        def backward(ctx, gradient):
            calls.append(1)
            gradient = gradient.clone()
            if len(calls) > 1:
                gradient[1] = float("nan")
            return gradient

    plain = step_of(unet, 1)

    def predict(latents, context, images):
        return plain.predict(latents, Poison.apply(context) if context.shape[1] == 1 else context, images)

    settings = Settings(order=order, entropy_weight=0.0, binding_weight=10.0, iterations=3, binding_iterations=3)
    step = step_of(unet, 1, predict=predict)
    refined, _, report = refine(step, tokens_of([2]), settings)
    once, _, _ = refine(plain, tokens_of([2]), settings.replace(iterations=1, binding_iterations=1))
    assert torch.allclose(refined.composites[1], once.composites[1], atol=1e-5)
    assert not torch.allclose(refined.composites[0], once.composites[0], atol=1e-5)
    assert refined.context.isfinite().all()
    assert report.discarded == 2
    assert report.warnings == ["some updates had gradients that are no finite numbers, and were left out"]


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_an_interrupt_goes_through_and_leaves_nothing(unet, at):
    calls = []
    plain = step_of(unet, 1)

    def predict(latents, context, images):
        calls.append(1)
        if len(calls) == at:
            raise Interrupted
        return plain.predict(latents, context, images)

    flags = [p.requires_grad for p in unet.parameters()]
    tokens = tokens_of([2])
    before = tokens.context.clone()
    with pytest.raises(Interrupted):
        refine(step_of(unet, 1, predict=predict), tokens, Settings(iterations=3))
    assert not hooks(unet)
    assert [p.requires_grad for p in unet.parameters()] == flags
    assert torch.equal(tokens.context, before)
    assert torch.is_grad_enabled()


def test_no_objects_no_passes(unet):
    def predict(latents, context, images):
        raise AssertionError("called")

    refined, _, report = refine(step_of(unet, 2, predict=predict), tokens_of([0, 0]), Settings())
    assert torch.equal(refined.context, tokens_of([0, 0]).context)
    assert report.warnings == []


def test_own_trajectories_need_the_negative_prompt(unet):
    with pytest.raises(ValueError, match="negative conditioning"):
        refine(step_of(unet, 1), tokens_of([1]), Settings(phrase_latent="own"))


def test_float16_gradients_that_overflow_or_vanish_are_scaled():
    """A factor that only another scale of the loss carries through float16."""
    for factor in (1e-11, 3e4):
        model = nn.Linear(4, 4, bias=False).half()

        def term(x, factor=factor, model=model):
            return model(x.half()).sum().float() * factor, Losses()

        (found,), _ = gradients([term], [torch.randn(4)], torch.float16)
        wanted = model.weight.detach().float().sum(0) * factor
        assert torch.cosine_similarity(found, wanted, 0, eps=0) > 0.99
        assert (found.norm() / wanted.norm()).item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_zero_gradient_is_evaluated_once(dtype):
    calls = []

    def term(x):
        calls.append(1)
        return (x * 0).sum(), Losses()

    (found,), _ = gradients([term], [torch.randn(4)], dtype)
    assert not found.any()
    assert len(calls) == 1


def test_a_model_that_returns_nan_alone_moves_nothing_and_says_so(unet):
    tokens = tokens_of([2])
    handle = unet.conv_in.register_forward_hook(lambda _, __, output: output * math.nan)
    try:
        refined, _, report = refine(step_of(unet, 1), tokens, Settings(iterations=2))
    finally:
        handle.remove()
    assert torch.equal(refined.context, tokens.context)
    assert report.nothing_moved
    assert not refine(step_of(unet, 1), tokens, Settings())[2].nothing_moved


@pytest.mark.parametrize("layers", ["*", "foo"])
def test_a_wrong_choice_of_layers_is_an_error_before_any_pass(unet, layers):
    """And none where no loss looks at maps."""
    passes = []
    plain = step_of(unet, 1)

    def predict(*given):
        passes.append(1)
        return plain.predict(*given)

    step = step_of(unet, 1, predict=predict)
    with pytest.raises(ValueError, match="layers = "):
        refine(step, tokens_of([2]), Settings(layers=layers))
    assert passes == []
    _, _, report = refine(step, tokens_of([2]), Settings(layers=layers, entropy_weight=0.0))
    assert len(report.binding) == 1


@pytest.mark.parametrize("update", ["composites", "all"])
def test_the_largest_steps_that_are_allowed_leave_tokens_of_a_bounded_length(unet, update):
    """Steps of a token's own length multiply: without a bound it has 10^20 times its length after one refined step."""
    largest = {name: declaration(name).maximum for name in ("step_size", "iterations")}
    settings = Settings(**largest, step_decay="constant", update=update, binding_weight=0.0)
    start = tokens = tokens_of([2])
    for index in range(2):
        tokens, _, _ = refine(step_of(unet, 1, index=index), tokens, settings)
    assert tokens.context.half().isfinite().all()
    assert tokens.context.norm(dim=-1).max() <= 100.1 * start.context.norm(dim=-1).max()
    assert not torch.allclose(tokens.composites, start.composites)


def test_thirty_groups(unet):
    tokens = tokens_of([1])
    many = Tokens(tokens.context, (0,) * 30, tuple(range(1, 61, 2)), tokens.phrase.expand(30, -1, -1))
    refined, _, report = refine(step_of(unet, 1, (8, 8)), many, Settings())
    assert len(report.binding[0]) == 30
    assert refined.context.isfinite().all()
