from __future__ import annotations

import torch

from tests.models import sdxl_unet, step_of, tokens_of
from tome_ext.method.descent import normalised
from tome_ext.method.refine import refine
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
