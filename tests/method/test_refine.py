"""Refinement on small UNets: gradients, batches, objects, shapes, precisions."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tests.models import WIDTH, sd15_unet, sdxl_unet, step_of, tokens_of
from tome_ext.method.backward.autograd import frozen
from tome_ext.method.objective import objective, phrase_target
from tome_ext.method.refine import in_window, refine
from tome_ext.method.state import Tokens
from tome_ext.settings import Settings, preset

LOSSES = {
    "binding": {"entropy_weight": 0.0, "binding_weight": 50.0},
    "entropy": {"binding_weight": 0.0},
    "entropy, reference": {"binding_weight": 0.0, "entropy_form": "reference"},
    "position": {"binding_weight": 0.0, "entropy_weight": 0.0, "position_weight": 0.2},
    "joint": {"binding_weight": 50.0, "position_weight": 0.2},
}


@pytest.fixture(scope="module")
def unet():
    return sdxl_unet()


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_agree_with_finite_differences(name):
    unet = sdxl_unet().double()
    settings = Settings(**LOSSES[name])
    tokens = tokens_of([2, 1], dtype=torch.float64)
    step = step_of(unet, 2)
    terms = objective(step, tokens, step.latents, phrase_target(step, tokens, settings), [0, 1], settings)

    def loss(composites):
        return torch.stack([term(composites)[0] for term in terms]).sum()

    composites = tokens.composites.requires_grad_()
    with frozen(unet):
        (gradient,) = torch.autograd.grad(loss(composites), composites)
    direction = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    h = 1e-5
    with torch.no_grad():
        slope = (loss(composites + h * direction) - loss(composites - h * direction)) / (2 * h)
    assert slope.abs() > 1e-8
    assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=1e-4)


@pytest.mark.parametrize("order", ["joint", "separate"])
def test_a_batch_of_four_is_four_runs_of_one(order):
    unet = sdxl_unet().double()
    settings = Settings(iterations=3, order=order, latent_step=0.5, step_size=0.5, binding_weight=10.0)
    tokens = tokens_of([2, 1, 0, 3], dtype=torch.float64)
    step = step_of(unet, 4)
    together, latents, _ = refine(step, tokens, settings)
    for image in range(4):
        own = tokens.objects_of([image])
        alone = Tokens(
            tokens.context[[image]], (0,) * len(own), tuple(tokens.position[n] for n in own), tokens.phrase[own]
        )
        single = replace(step, latents=step.latents[[image]])
        refined, latent, _ = refine(single, alone, settings)
        assert torch.allclose(refined.context[0], together.context[image], atol=1e-8)
        assert torch.allclose(latent[0], latents[image], atol=1e-8)
    moved = (together.context - tokens.context).abs().amax((1, 2))
    assert moved[2] == 0
    assert (moved[[0, 1, 3]] > 1e-3).all()


@pytest.mark.parametrize("count", [1, 2, 5, 25])
def test_any_number_of_objects_moves_only_its_own_tokens(unet, count):
    tokens = tokens_of([count])
    refined, latents, report = refine(step_of(unet, 1), tokens, Settings(iterations=2))
    changed = (refined.context - tokens.context).abs().amax(-1)[0] > 0
    assert changed.nonzero().flatten().tolist() == sorted(tokens.position)
    assert torch.equal(latents, step_of(unet, 1).latents)
    assert [len(row) for row in report.entropy] == [count, count]
    assert [len(row) for row in report.binding] == [count, count]


@pytest.mark.parametrize("length", [77, 231])
@pytest.mark.parametrize("size", [(16, 16), (12, 18), (9, 16), (16, 9)])
def test_long_prompts_and_aspect_ratios(unet, length, size):
    tokens = tokens_of([2], length=length)
    refined, _, report = refine(step_of(unet, 1, size), tokens, Settings(position_weight=0.1))
    assert refined.context.shape == (1, length, WIDTH)
    assert not report.warnings
    assert not torch.equal(refined.composites, tokens.composites)


def test_a_shallow_unet(unet):
    refined, _, _ = refine(step_of(sd15_unet(), 1), tokens_of([2]), Settings())
    assert not torch.equal(refined.composites, tokens_of([2]).composites)


@pytest.mark.parametrize("name", ["entropy", "binding"])
def test_small_steps_lower_the_loss(unet, name):
    settings = Settings(**LOSSES[name], iterations=5, step_size=0.05, step_decay="constant")
    _, _, report = refine(step_of(unet, 1), tokens_of([2]), settings)
    losses = [sum(row.values()) for row in getattr(report, name)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


def test_inputs_and_weights_are_left_alone(unet):
    tokens = tokens_of([2])
    before = [tokens.context.clone(), tokens.phrase.clone(), {k: v.clone() for k, v in unet.state_dict().items()}]
    flags = [p.requires_grad for p in unet.parameters()]
    with torch.no_grad():  # as samplers call it
        refine(step_of(unet, 1), tokens, preset("reference").replace(phrase_latent="same"))
    assert torch.equal(tokens.context, before[0])
    assert torch.equal(tokens.phrase, before[1])
    assert all(torch.equal(v, before[2][k]) for k, v in unet.state_dict().items())
    assert [p.requires_grad for p in unet.parameters()] == flags
    assert all(p.grad is None for p in unet.parameters())


def test_one_full_pass_and_one_short_one_for_an_iteration(unet):
    """The joint loss takes a phrase pass, then a pass per loss and one autograd call; entropy's ends early."""
    ended, passes = [], []
    handle = unet.conv_out.register_forward_hook(lambda *_: ended.append(1))
    start = unet.conv_in.register_forward_hook(lambda _, inputs, __: passes.append(len(inputs[0])))
    refine(step_of(unet, 1), tokens_of([3]), Settings(iterations=2))
    handle.remove()
    start.remove()
    assert passes == [3, 1, 3, 1, 3]
    assert len(ended) == 3


@pytest.mark.parametrize("index", range(10))
def test_the_window_is_a_fraction_of_the_run(unet, index):
    settings = Settings(every=1, window_start=0.2, window_stop=0.5)
    assert in_window(step_of(unet, 1, index=index), settings) == (2 <= index < 5)


@pytest.mark.parametrize(("total", "refined"), [(50, 7), (30, 5), (10, 2), (4, 1)])
def test_the_authors_window_of_seven_in_fifty(unet, total, refined):
    settings = preset("reference")
    inside = [in_window(step_of(unet, 1, index=index, total=total), settings) for index in range(total)]
    assert inside == [True] * refined + [False] * (total - refined)


def test_fast_never_refines(unet):
    assert not any(in_window(step_of(unet, 1, index=index), preset("fast")) for index in range(10))


def test_step_size_falls_to_zero_at_the_last_step(unet):
    settings = Settings(window_stop=1.0, step_decay="linear")
    refined, _, _ = refine(step_of(unet, 1, index=9), tokens_of([1]), settings)
    assert torch.equal(refined.context, tokens_of([1]).context)


@pytest.mark.parametrize("form", ["paper", "reference"])
def test_each_image_stops_early_on_its_own_after_at_least_one_update(unet, form, monkeypatch):
    """The authors' loop: update, then compare the loss from before the update with the threshold."""
    tokens = tokens_of([2, 2])
    step = step_of(unet, 2)
    settings = Settings(iterations=4, entropy_form=form, binding_weight=0.0, step_size=0.01, resolution=1.0)
    monkeypatch.setattr("tome_ext.method.objective.THRESHOLDS", (-math.inf,))
    once, _, report = refine(step, tokens, settings.replace(iterations=1))
    sums = [report.entropy[0][2 * image] + report.entropy[0][2 * image + 1] for image in range(2)]
    done = sums.index(min(sums))
    between = sum(sums) / 2
    monkeypatch.setattr("tome_ext.method.objective.THRESHOLDS", (between + 2,))  # t · K/2 − 2 for K = 2
    if form == "paper":
        settings = settings.replace(entropy_target=between / 2 / math.log(16))
    refined, _, report = refine(step, tokens, settings)
    assert torch.equal(refined.context[done], once.context[done])
    assert not torch.equal(refined.context[done], tokens.context[done])
    assert not torch.equal(refined.context[1 - done], once.context[1 - done])
    assert set(report.entropy[1]) == set(tokens.objects_of([1 - done]))


def test_the_authors_threshold_sees_the_position_loss_as_well(unet, monkeypatch):
    tokens, step = tokens_of([2]), step_of(unet, 1)
    settings = preset("reference").replace(phrase_latent="same", binding_weight=0.0, iterations=3)
    monkeypatch.setattr("tome_ext.method.objective.THRESHOLDS", (-math.inf,))
    _, _, report = refine(step, tokens, settings.replace(iterations=1))
    entropy, position = (sum(values[0].values()) for values in (report.entropy, report.position))
    assert position > 0
    monkeypatch.setattr("tome_ext.method.objective.THRESHOLDS", (entropy + 0.1 * position + 2,))
    _, _, report = refine(step, tokens, settings)
    assert len(report.entropy) == 3  # entropy alone is below the threshold, with 0.2 · position it is not
    monkeypatch.setattr("tome_ext.method.objective.THRESHOLDS", (entropy + 0.3 * position + 2,))
    _, _, report = refine(step, tokens, settings)
    assert len(report.entropy) == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("order", ["joint", "separate"])
def test_narrow_floats(dtype, order):
    settings = Settings(order=order, iterations=2, binding_weight=10.0, step_size=0.1, binding_step_size=0.1)
    exact, _, _ = refine(step_of(sdxl_unet(), 1), tokens_of([2]), settings)
    narrow = tokens_of([2], dtype=dtype)
    refined, _, report = refine(step_of(sdxl_unet().to(dtype), 1), narrow, settings)
    assert refined.context.dtype == dtype
    assert not report.warnings
    move, wanted = refined.composites.float() - narrow.composites.float(), exact.composites - tokens_of([2]).composites
    assert torch.cosine_similarity(move.flatten(), wanted.flatten(), 0) > 0.9
    lengths = move.norm(dim=-1) / wanted.norm(dim=-1)
    torch.testing.assert_close(lengths, torch.ones(2), atol=0.1, rtol=0)
