"""Refinement in a pipeline: where it takes place, what it is given, and what becomes of it when it fails."""

from __future__ import annotations

import weakref

import diffusers
import numpy as np
import pytest
import torch

from tests.hosts.diffusers.sampling import NONE, TWO, bind, given, hooks, make, quiet, settings_of
from tome_ext.hosts.diffusers import attach
from tome_ext.hosts.diffusers import attachment as module

REFINE = "tome_ext.hosts.diffusers.attachment.refine"


def steps_of(report):
    return [row["step"] for row in report[0].losses]


@pytest.fixture
def steps(monkeypatch):
    """The steps that the refinement is given."""
    seen = []

    def spy(step, tokens, settings):
        seen.append(step)
        return original(step, tokens, settings)

    original = module.refine
    monkeypatch.setattr(REFINE, spy)
    return seen


@pytest.fixture
def short(monkeypatch):
    """Memory does not suffice for so many tries; the settings of all tries are kept, and what a failed one held."""
    seen, held = [], []

    def failing(times):
        def refine(step, tokens, settings):
            assert all(one() is None for one in held), "the failed pass is still in memory"
            seen.append(settings.checkpointing)
            activations = torch.zeros(10)
            held.append(weakref.ref(activations))
            if len(seen) <= times:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return original(step, tokens, settings)

        monkeypatch.setattr(REFINE, refine)
        return seen

    original = module.refine
    return failing


def test_memory_that_suffices_with_checkpointing_alone(sdxl, short):
    tries = short(1)
    _, report = bind(sdxl, settings_of(window_stop=1.0), [TWO], [1], steps=2)
    assert tries == ["auto", "on", "on"]
    assert (report[0].warnings, report[0].failure) == ([], "")
    assert steps_of(report) == [0, 1]


def test_memory_that_does_not_suffice_costs_the_refinement_and_not_the_picture(sdxl, short):
    merged, _ = bind(sdxl, settings_of("fast"), [TWO], [1], steps=2)
    tries = short(100)
    images, report = bind(sdxl, settings_of(window_stop=1.0), [TWO], [1], steps=2)
    assert np.array_equal(images, merged)
    assert tries == ["auto", "on"]
    assert len(report[0].warnings) == 1
    assert "refinement failed for want of memory" in report[0].failure
    assert report[0].failure == report[0].warnings[0]


@pytest.mark.parametrize("chosen", ["on", "off"])
def test_checkpointing_by_choice_is_not_changed(sdxl, short, chosen):
    tries = short(100)
    bind(sdxl, settings_of(checkpointing=chosen), [TWO], [1], steps=1)
    assert tries == [chosen]


def test_a_failure_costs_the_refinement_and_not_the_picture(sdxl, monkeypatch):
    def fail(*_):
        raise ValueError("broken <b>")

    merged, _ = bind(sdxl, settings_of("fast"), [TWO], [1], steps=1)
    monkeypatch.setattr(REFINE, fail)
    images, report = bind(sdxl, settings_of(), [TWO], [1], steps=1)
    assert np.array_equal(images, merged)
    assert report[0].warnings == [report[0].failure]
    assert "ValueError: broken <b>" in report[0].failure


def nan_in(pipe, calls):
    """NaN out of the UNet's refinement passes (gradients on) whose number is among the ``calls``."""
    count = [0]

    def spoil(layer, inputs, output):
        if torch.is_grad_enabled():
            count[0] += 1
            if count[0] in calls:
                return output * float("nan")
        return None

    return pipe.unet.conv_in.register_forward_hook(spoil)


def test_nothing_but_nan_is_a_failure(sdxl):
    merged, _ = bind(sdxl, settings_of("fast"), [TWO, NONE], [1, 2], steps=2)
    handle = nan_in(sdxl, range(1000))
    try:
        images, report = bind(sdxl, settings_of(window_stop=1.0), [TWO, NONE], [1, 2], steps=2)
    finally:
        handle.remove()
    assert np.abs(images - merged).max() < 5e-3
    assert report[0].failure.startswith("nothing was refined: every update was not finite")
    assert report[0].failure in report[0].warnings
    assert report[1].failure == ""
    assert not hooks(sdxl)


def test_nan_in_one_step_is_a_warning(sdxl):
    """The first step is discarded, the second is not."""
    handle = nan_in(sdxl, [1, 2])
    try:
        _, report = bind(sdxl, settings_of(window_stop=1.0, iterations=1), [TWO], [1], steps=2)
    finally:
        handle.remove()
    assert report[0].failure == ""
    assert any("no finite numbers" in warning for warning in report[0].warnings)


@pytest.mark.parametrize(("count", "expected"), [(1, [0]), (2, [0]), (4, [0]), (8, [0, 1])])
def test_few_steps_refine_the_first_fifth_of_the_noise(sdxl, monkeypatch, count, expected):
    """As of turbo and distilled models: their own spacing, no guidance."""
    kind = diffusers.EulerDiscreteScheduler.from_config(sdxl.scheduler.config, timestep_spacing="trailing")
    monkeypatch.setattr(sdxl, "scheduler", kind)
    _, report = bind(sdxl, settings_of(), [TWO], [1], steps=count, guidance_scale=0.0)
    assert steps_of(report) == expected
    assert report[0].warnings == []


def image_to_image(sdxl, strength, settings, **more):
    pipe = quiet(diffusers.StableDiffusionXLImg2ImgPipeline(**sdxl.components))
    start = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with attach(pipe, settings, TWO, **more) as tome:
        pipe([TWO], image=start, strength=strength, num_inference_steps=10, output_type="np")
    return tome.report


def test_image_to_image_at_low_strength_refines_nothing(sdxl):
    report = image_to_image(sdxl, 0.3, settings_of(), record_maps=True)
    assert steps_of(report) == []
    assert report[0].failure == ""
    assert "no step is refined: sampling begins at 0.78 of the noise schedule" in report[0].warnings[0]
    assert len(report[0].maps) == 2


def test_image_to_image_refines_its_part_of_the_window(sdxl, steps):
    """Six of ten calls, from 0.44 of the noise on; the size of a step falls with the whole schedule."""
    report = image_to_image(sdxl, 0.6, settings_of(window_stop=0.6))
    assert steps_of(report) == [0, 1]
    assert report[0].warnings == []
    assert [(step.index, step.total) for step in steps] == [(4, 10), (5, 10)]
    assert [round(step.place, 2) for step in steps] == [0.44, 0.55]


def test_both_calls_of_a_second_order_step_are_refined_by_their_noise(sd15, monkeypatch, steps):
    monkeypatch.setattr(sd15, "scheduler", diffusers.HeunDiscreteScheduler.from_config(sd15.scheduler.config))
    bind(sd15, settings_of(window_stop=0.3), [TWO], [1], steps=6)
    times = sd15.scheduler.timesteps
    assert [step.index for step in steps] == [i for i, t in enumerate(times) if 1 - t / times[0] < 0.3 - 5e-4]
    assert len(steps) % 2 == 1  # the first level has one call, each other one two


@pytest.mark.parametrize("guidance", [1.0, 3.0, 7.5])
def test_the_refinement_has_the_calls_own_guidance(sdxl, steps, guidance):
    bind(sdxl, settings_of("reference", iterations=1), [TWO], [1], steps=1, guidance_scale=guidance)
    assert [step.guidance for step in steps] == [guidance]


@pytest.mark.parametrize(("pooled", "blank"), [("zeros", True), ("prompt", False)])
def test_the_losses_see_the_pooled_vector_that_is_asked_for(sdxl, pooled, blank):
    """SDXL's pooled vector stands in front of the sizes; sampling itself always has the prompt's own."""
    width = sdxl.text_encoder_2.config.projection_dim
    seen = []

    def look(layer, inputs):
        seen.append((torch.is_grad_enabled(), not inputs[0][:, :width].any()))

    handle = sdxl.unet.add_embedding.register_forward_pre_hook(look)
    try:
        bind(sdxl, settings_of(loss_pooled=pooled), [TWO], [1], steps=1, guidance_scale=1.0)
    finally:
        handle.remove()
    assert {zero for gradient, zero in seen if gradient} == {blank}
    assert seen[-1] == (False, False)


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_the_latent_step_is_for_every_row_of_this_prediction(sdxl, guidance):
    own, handle = given(sdxl)
    try:
        with attach(sdxl, settings_of(latent_step=0.5), TWO) as tome:
            final, last = given(sdxl)
            make(sdxl, [TWO], [1], steps=1, guidance_scale=guidance)
            last.remove()
    finally:
        handle.remove()
    before, after = own[0][0], final[0][0]
    assert tome.report[0].losses
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(torch.equal(row, after[0]) for row in after)


def test_maps_are_taken_when_the_refinement_is_over(sdxl, monkeypatch):
    """Of the tokens as the last refined step leaves them."""
    order = []
    monkeypatch.setattr(module.Attachment, "_maps", lambda self, step, run: order.append("maps"))
    original = module.refine
    monkeypatch.setattr(REFINE, lambda *given: order.append("refined") or original(*given))
    bind(sdxl, settings_of(window_stop=0.6), [TWO], [1], {"record_maps": True}, steps=4)
    assert order == ["refined", "refined", "maps"]
