from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.models import WIDTH, sdxl_unet, step_of, tokens_of
from tome_ext.method.refine import refine
from tome_ext.method.resolution import reduced
from tome_ext.settings import Settings


@pytest.mark.parametrize("resolution", [0.25, 0.375, 0.5, 0.75])
@pytest.mark.parametrize("size", [(128, 128), (96, 168), (65, 130)])
def test_noise_keeps_its_strength_and_stays_independent(resolution, size):
    noise = torch.randn(8, 4, *size, generator=torch.Generator().manual_seed(0))
    small = reduced(noise, resolution)
    count = small.numel()
    assert small.var().item() == pytest.approx(1, abs=5 * (2 / count) ** 0.5)
    for neighbours in (small[..., 1:] * small[..., :-1], small[..., 1:, :] * small[..., :-1, :]):
        assert neighbours.mean().abs().item() < 5 / neighbours.numel() ** 0.5
    numbered = torch.arange(float(size[0] * size[1])).view(1, 1, *size)
    assert len(reduced(numbered, resolution).unique()) == count // 32  # no pixel twice


@pytest.mark.parametrize(
    ("size", "resolution", "expected"),
    [
        ((128, 128), 0.5, (64, 64)),
        ((96, 168), 0.5, (48, 80)),
        ((32, 32), 0.25, (8, 8)),
        ((16, 16), 0.25, (8, 8)),
        ((8, 8), 0.5, (8, 8)),
        ((4, 6), 0.5, (4, 6)),
        ((130, 66), 1.0, (130, 66)),
    ],
)
def test_sides_are_multiples_of_eight(size, resolution, expected):
    assert reduced(torch.zeros(1, 4, *size), resolution).shape[-2:] == expected


def test_pixels_are_picked_from_the_middle_of_their_share():
    latents = torch.arange(16.0).view(1, 1, 1, 16).expand(1, 1, 16, 16)
    assert reduced(latents, 0.5)[0, 0, 0].tolist() == [1, 3, 5, 7, 9, 11, 13, 15]


def test_gradients_reach_the_picked_pixels_alone():
    latents = torch.randn(1, 4, 32, 32, requires_grad=True)
    reduced(latents, 0.5).sum().backward()
    assert latents.grad.sum().item() == 4 * 16 * 16
    assert set(latents.grad.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("phrase_latent", ["same", "own"])
def test_every_pass_of_the_losses_is_small_and_the_latent_returned_is_not(phrase_latent):
    step = step_of(sdxl_unet(), 1, (32, 32))
    seen = []
    predict = step.predict

    def watched(latents, context, images):
        seen.append(tuple(latents.shape[-2:]))
        return predict(latents, context, images)

    step = replace(step, predict=watched, null=torch.randn(1, 77, WIDTH))
    settings = Settings(resolution=0.5, phrase_latent=phrase_latent, latent_step=0.5, step_size=0.1)
    _, latents, _ = refine(step, tokens_of([2]), settings)
    assert set(seen) == {(16, 16)}
    assert latents.shape == step.latents.shape
    assert not torch.equal(latents, step.latents)


def test_a_host_that_adds_something_of_the_pictures_size_gets_the_latents_as_they_are():
    step = replace(step_of(sdxl_unet(), 1, (32, 32)), resizable=False)
    small, full = Settings(resolution=0.5, step_size=0.1), Settings(resolution=1.0, step_size=0.1)
    assert torch.equal(refine(step, tokens_of([1]), small)[0].context, refine(step, tokens_of([1]), full)[0].context)
