from __future__ import annotations

import math

import pytest
import torch

from tests.models import sdxl_unet, step_of, tokens_of
from tome_ext.method.descent import descend, normalised
from tome_ext.method.refine import refine
from tome_ext.method.state import Report
from tome_ext.settings import Settings


def test_a_composite_token_moves_by_its_own_length_along_its_gradient():
    tokens, gradient = torch.randn(3, 8), torch.randn(3, 8) * torch.tensor([[1e-6], [1.0], [1e6]])
    direction = normalised(tokens, gradient)
    torch.testing.assert_close(direction.norm(dim=-1), tokens.norm(dim=-1))
    torch.testing.assert_close(torch.cosine_similarity(direction, gradient), torch.ones(3))


def test_in_a_whole_context_the_largest_gradient_sets_the_length_and_none_stays_none():
    context = torch.ones(2, 3, 4)
    gradient = torch.zeros(2, 3, 4)
    gradient[0, 0, 0], gradient[0, 1, 1], gradient[1, 2, 2] = 10.0, 5.0, 1e-3
    lengths = normalised(context, gradient).norm(dim=-1)
    torch.testing.assert_close(lengths, torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 2.0]]))


def test_a_normalised_step_does_not_depend_on_the_scale_of_the_loss():
    unet, tokens = sdxl_unet(), tokens_of([2, 1])
    step = step_of(unet, 2)
    ways = []
    for scale in (1.0, 100.0):
        settings = Settings(entropy_weight=scale, binding_weight=10 * scale, step_size=0.1)
        ways.append(refine(step, tokens, settings)[0].composites - tokens.composites)
    torch.testing.assert_close(ways[0], ways[1], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ways[0].norm(dim=-1), 0.1 * tokens.composites.norm(dim=-1), rtol=1e-4, atol=1e-4)


def test_the_default_step_lowers_the_loss():
    unet, tokens = sdxl_unet(), tokens_of([2])
    step = step_of(unet, 1)
    settings = Settings(step_size=0.02, step_decay="constant", entropy_weight=1.0, binding_weight=10.0, iterations=6)
    _, _, report = refine(step, tokens, settings)
    joint = [
        sum(entropy.values()) + 10 * sum(binding.values())
        for entropy, binding in zip(report.entropy, report.binding, strict=True)
    ]
    assert joint[-1] < joint[0] - 0.01


@pytest.mark.parametrize("exponent", [-40, -30, -24, -6, 0, 20, 38])
def test_a_normalised_direction_has_the_length_of_the_token_at_any_scale_of_the_gradient(exponent):
    tokens = torch.tensor([[3.0, 4.0]])
    gradient = torch.tensor([[1.0, 1.0]]) * 10.0**exponent
    assert normalised(tokens, gradient).norm() == pytest.approx(5, rel=1e-4)
    moved = descend(tokens, normalised(tokens, gradient), 0.1, Report(0))
    assert (moved - tokens).norm() == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("shape", [(3, 8), (2, 7, 8), (2, 4, 8, 8)])
def test_no_update_is_longer_than_allowed(shape):
    variable = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    gradient = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    moved = descend(variable, gradient, 1e30, Report(0), most=2.0) - variable
    assert moved.isfinite().all()
    lengths, moves = (x.flatten(1).norm(dim=1) if x.ndim == 4 else x.norm(dim=-1) for x in (variable, moved))
    assert (moves <= 2 * (lengths.amax(-1, keepdim=True) if len(shape) == 3 else lengths) * 1.001).all()
    assert torch.cosine_similarity(moved.flatten(), -gradient.flatten(), 0) > 0.9


def test_a_move_that_is_short_enough_is_plain_gradient_descent():
    variable, gradient = torch.ones(2, 4), torch.full((2, 4), 0.5)
    assert torch.equal(descend(variable, gradient, 0.1, Report(0)), torch.full((2, 4), 0.95))


def test_a_token_with_a_non_finite_gradient_stays_and_counts():
    report = Report(0)
    gradient = torch.ones(3, 4)
    gradient[1, 2] = math.nan
    moved = descend(torch.ones(3, 4), gradient, 0.5, report)
    assert torch.equal(moved, torch.tensor([[0.5], [1.0], [0.5]]).expand(3, 4))
    assert (report.updates, report.discarded) == (3, 1)
