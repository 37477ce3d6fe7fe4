"""ToMe on diffusers pipelines, on the small random models."""

from __future__ import annotations

import diffusers
import numpy as np
import pytest
import torch

from tests.hosts.diffusers.sampling import NONE, ONE, TWO, bind, given, hooks, make, quiet, settings_of
from tome_ext.embedded.random_model import random_pipeline
from tome_ext.hosts.diffusers import attach
from tome_ext.hosts.diffusers.encoding import encode
from tome_ext.prompts import GroupSyntaxError
from tome_ext.settings import SettingError, Settings


@pytest.mark.parametrize("name", ["fast", "balanced", "paper", "reference", "reference-attributes"])
def test_every_preset_changes_the_picture_and_leaves_the_pipeline_as_it_was(sdxl, name):
    plain = make(sdxl, [TWO], [1])
    flags = [p.requires_grad for p in sdxl.unet.parameters()]
    attributes = set(vars(sdxl.unet)), set(vars(sdxl))
    images, report = bind(sdxl, settings_of(name), [TWO], [1])
    assert np.isfinite(images).all()
    assert np.abs(images - plain).mean() > 1e-3
    assert report[0].warnings == []
    assert (report[0].bound, report[0].failure) == (True, "")
    assert [g.noun.text for g in report[0].groups.groups] == ["cat", "dog"]
    assert not hooks(sdxl)
    assert [p.requires_grad for p in sdxl.unet.parameters()] == flags
    assert (set(vars(sdxl.unet)), set(vars(sdxl))) == attributes
    assert np.array_equal(make(sdxl, [TWO], [1]), plain)


@pytest.mark.parametrize("prompt", [NONE, "", "   "])
def test_a_prompt_without_groups_is_the_plain_picture(sdxl, prompt):
    images, report = bind(sdxl, settings_of(), [prompt], [1])
    assert np.array_equal(images, make(sdxl, [prompt], [1]))
    assert report[0].warnings == ["no objects to bind in this prompt"]


def test_a_group_whose_noun_is_missing(sdxl):
    images, report = bind(sdxl, settings_of(groups="horse: blue"), [NONE], [1])
    assert np.array_equal(images, make(sdxl, [NONE], [1]))
    assert any("horse" in warning for warning in report[0].warnings)


def test_groups_that_cannot_be_read_are_an_error_before_sampling(sdxl):
    with pytest.raises(GroupSyntaxError), attach(sdxl, settings_of(groups="cat: +"), [TWO]):
        raise AssertionError("not reached")
    assert not hooks(sdxl)


def test_the_same_twice(sdxl):
    first, _ = bind(sdxl, settings_of(), [TWO], [3])
    second, _ = bind(sdxl, settings_of(), [TWO], [3])
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", ["fast", "balanced"])
def test_a_batch_is_its_images_made_alone(sdxl, name):
    """Different prompts, one of them without groups; float32 sums in another order, hence the tolerance."""
    prompts, seeds = [TWO, NONE, ONE, TWO], [1, 2, 3, 4]
    together, report = bind(sdxl, settings_of(name), prompts, seeds)
    for number, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True)):
        alone, _ = bind(sdxl, settings_of(name), [prompt], [seed])
        assert np.abs(together[number] - alone[0]).max() < 5e-3
    assert [len(entry.groups.groups) for entry in report] == [2, 0, 1, 2]


def test_several_images_per_prompt(sdxl):
    prompts = [TWO, ONE]
    with attach(sdxl, settings_of("fast"), prompts, images_per_prompt=2) as tome:
        together = make(sdxl, prompts, [1, 2, 3, 4], num_images_per_prompt=2)
    alone, _ = bind(sdxl, settings_of("fast"), [ONE], [3])
    assert len(tome.report) == 4
    assert np.abs(together[2] - alone[0]).max() < 5e-3


@pytest.mark.parametrize("more", [{"guidance_scale": 1.0}, {"negative_prompt": ["blurry"]}, {"size": (64, 96)}])
def test_without_guidance_with_a_negative_prompt_and_other_sizes(sdxl, more):
    for name in ("balanced", "reference"):
        images, report = bind(sdxl, settings_of(name), [TWO], [1], **more)
        assert report[0].warnings == []
        assert report[0].losses
        assert np.abs(images - make(sdxl, [TWO], [1], **more)).mean() > 1e-3


SCHEDULERS = [
    "DDIMScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_every_scheduler(sd15, scheduler, prediction):
    own = sd15.scheduler
    kind = getattr(diffusers, scheduler)
    sd15.scheduler = kind.from_config(own.config, prediction_type=prediction)
    try:
        images, report = bind(sd15, settings_of(window_stop=0.4), [TWO], [1], steps=5)
        timesteps = sd15.scheduler.timesteps
    finally:
        sd15.scheduler = own
    assert np.isfinite(images).all()
    assert report[0].warnings == []
    places = [1 - float(timestep) / float(timesteps[0]) for timestep in timesteps]
    assert [row["step"] for row in report[0].losses] == [i for i, place in enumerate(places) if place < 0.4 - 5e-4]


def test_a_scheduler_of_unknown_noise_still_merges(sd15):
    own = sd15.scheduler
    sd15.scheduler = diffusers.EDMEulerScheduler(sigma_max=14.0)
    try:
        images, report = bind(sd15, settings_of(), [TWO], [1])
        merged, _ = bind(sd15, settings_of("fast"), [TWO], [1])
    finally:
        sd15.scheduler = own
    assert np.array_equal(images, merged)
    assert report[0].warnings == [
        "no refinement: EDMEulerScheduler has no alphas_cumprod: refinement does not know its noise level"
    ]
    assert report[0].failure == report[0].warnings[0]


def test_a_second_call_begins_anew(sdxl):
    with attach(sdxl, settings_of(), [TWO]) as tome:
        first = make(sdxl, [TWO], [1])
        second = make(sdxl, [TWO], [1])
    assert np.array_equal(first, second)
    assert [row["step"] for row in tome.report[0].losses] == [0, 0]


RED = "a red cat and a blue dog"  # a(1) red(2) cat(3) and(4) a(5) blue(6) dog(7) EOT(8)
CLEAN = "a cat and a dog"  # EOT(6)


def told(pipe, steps=1, attached=None, **values):
    """What the UNet is given for RED in each call: its text [77, D], and SDXL's pooled vector."""
    settings = settings_of("fast", related_weight=1.0, **values)
    with attach(pipe, settings, RED, **(attached or {})) as tome:
        seen, handle = given(pipe)
        try:
            make(pipe, [RED], [1], steps=steps)
        finally:
            handle.remove()
    assert tome.report[0].warnings == []
    return [(text[-1], None if added is None else added["text_embeds"][-1]) for _, text, added in seen]


def close(one, two):
    return torch.allclose(one, two, atol=1e-4)


@pytest.mark.parametrize(("start", "calls"), [(0.0, [True] * 5), (0.5, [False] * 3 + [True] * 2), (1.0, [False] * 5)])
def test_end_tokens_are_the_clean_prompts_from_a_chosen_place_on(sdxl, start, calls):
    """Until then the prompt's own, which have closed up."""
    own, clean = (encode(sdxl, [text])[0][0] for text in (RED, CLEAN))
    for substituted, (text, _) in zip(calls, told(sdxl, steps=5, ets_start=start), strict=True):
        assert close(text[6:74], clean[6:74] if substituted else own[8:76])
    assert not close(own[8:76], clean[6:74])


@pytest.mark.parametrize(("pooled", "of"), [("keep", RED), ("clean", CLEAN)])
def test_the_pooled_vector_is_the_prompts_or_the_clean_prompts(sdxl, pooled, of):
    ((_, vector),) = told(sdxl, pooled=pooled)
    assert close(vector, encode(sdxl, [of])[1][0])
    assert not close(*encode(sdxl, [RED, CLEAN])[1])


def test_a_model_without_a_pooled_vector_is_merged_as_well(sd15):
    ((text, vector),) = told(sd15, pooled="clean")
    own = encode(sd15, [RED])[0][0]
    assert vector is None
    assert close(text[2], own[2] + own[3])


def test_words_from_outside_the_prompt_are_added_with_their_signs_and_weights(sdxl):
    ((text, _),) = told(sdxl, groups='cat: - ; dog + 2*"hat" - 0.5*blue')
    own, hat = (encode(sdxl, [words])[0][0] for words in (RED, "hat"))
    assert close(text[:6], own[:6])
    assert close(text[6], own[7] + 2 * hat[1] - 0.5 * own[6])


def test_clean_prompts_by_hand(sdxl):
    ((text, _),) = told(sdxl, attached={"clean": ["two animals"]})
    by_hand = encode(sdxl, ["two animals"])[0][0]  # EOT(3)
    assert close(text[6:], by_hand[3:74])
    with (
        pytest.raises(ValueError, match="2 clean prompts for 1 prompts"),
        attach(sdxl, Settings(), [TWO], clean=["", ""]),
    ):
        raise AssertionError("not reached")


def test_phrases_and_prompts_are_encoded_with_the_calls_lora_scale(sdxl, monkeypatch):
    asked = []
    original = sdxl.encode_prompt
    monkeypatch.setattr(
        sdxl, "encode_prompt", lambda *a, **more: asked.append(more.pop("lora_scale", None)) or original(*a, **more)
    )
    with attach(sdxl, settings_of(), [TWO], lora_scale=0.5):
        pass
    assert len(asked) > 3
    assert set(asked) == {0.5}


def test_maps_take_one_more_partial_pass_and_no_other(sdxl):
    """Up to the last layer whose maps are drawn."""
    passes = {}
    for record_maps in (False, True):
        begun, ended = [], []
        handles = [
            sdxl.unet.conv_in.register_forward_hook(lambda *_, seen=begun: seen.append(1)),
            sdxl.unet.conv_out.register_forward_hook(lambda *_, seen=ended: seen.append(1)),
        ]
        bind(sdxl, settings_of("fast"), [TWO], [1], {"record_maps": record_maps}, steps=3)
        for handle in handles:
            handle.remove()
        passes[record_maps] = len(begun), len(ended)
    assert passes == {False: (3, 3), True: (4, 3)}


def test_a_failure_is_only_that_of_images_with_something_to_bind(sdxl, monkeypatch):
    def fail(*_):
        raise ValueError("broken")

    monkeypatch.setattr("tome_ext.hosts.diffusers.attachment.compose", fail)
    _, report = bind(sdxl, settings_of(), [TWO, NONE], [1, 2])
    assert [entry.bound for entry in report] == [True, False]
    assert ["broken" in entry.failure for entry in report] == [True, False]


def test_an_interrupt_in_the_middle_of_refinement(sdxl):
    calls = []

    def interrupt(*_):
        calls.append(1)
        if len(calls) == 2:  # within the first refined step
            raise KeyboardInterrupt

    handle = sdxl.unet.mid_block.register_forward_hook(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            bind(sdxl, settings_of(), [TWO], [1])
    finally:
        handle.remove()
    assert not hooks(sdxl)
    assert torch.is_grad_enabled()


def test_unknown_layers_are_reported(sdxl):
    _, report = bind(sdxl, settings_of(layers="up_blocks.7*"), [TWO], [1])
    assert "layers = 'up_blocks.7*'" in report[0].warnings[0]


def test_maps_that_fail_cost_the_maps_alone(sdxl):
    merged, _ = bind(sdxl, settings_of("fast"), [TWO], [1])
    images, report = bind(sdxl, settings_of("fast", layers="up_blocks.7*"), [TWO], [1], {"record_maps": True})
    assert np.array_equal(images, merged)
    assert report[0].maps == []
    assert report[0].warnings[0].startswith("no attention maps: layers = 'up_blocks.7*'")


@pytest.mark.parametrize("name", ["fast", "balanced"])
@pytest.mark.parametrize("prompts", [[TWO], [NONE, ONE]])
def test_maps_of_every_object(sdxl, name, prompts):
    plain, _ = bind(sdxl, settings_of(name), prompts, [1, 2][: len(prompts)])
    images, report = bind(sdxl, settings_of(name), prompts, [1, 2][: len(prompts)], {"record_maps": True})
    assert np.array_equal(images, plain)
    for entry in report:
        assert len(entry.maps) == len(entry.groups.groups)
        for (label, one), group in zip(entry.maps, entry.groups.groups, strict=True):
            assert label.startswith(group.noun.text + " + ")
            assert one.shape == (2, 2)
            assert one.sum().item() == pytest.approx(1, abs=1e-5)


def test_losses_are_reported_by_object(sdxl):
    _, report = bind(sdxl, settings_of("paper"), [TWO, ONE], [1, 2], steps=10)
    assert [row["step"] for row in report[0].losses] == [0, 1]
    assert all(len(values) == 2 for row in report[0].losses for values in row["entropy"] + row["binding"])
    assert all(len(values) == 1 for row in report[1].losses for values in row["entropy"] + row["binding"])


def test_bad_settings_never_reach_the_pipeline():
    with pytest.raises(SettingError, match="iterations = 21"):
        settings_of(iterations=21)


def test_bfloat16(sdxl):
    pipe = quiet(random_pipeline()).to(torch.bfloat16)
    images, report = bind(pipe, settings_of(), [TWO], [1])
    assert report[0].warnings == []
    assert np.isfinite(images).all()
    assert report[0].losses
