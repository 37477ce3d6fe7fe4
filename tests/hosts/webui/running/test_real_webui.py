"""In a real WebUI: off is off, a job is repeatable, and every feature of the host works with ToMe."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.hosts.webui.running.features import FEATURES, LONG, Feature, row, write_table
from tests.hosts.webui.running.server import HOST, PLAIN

pytestmark = pytest.mark.webui

# Images of a batch differ from those made alone by a rounding of the last bit, with and without ToMe.
BATCH_TOLERANCE = 1


def test_off_is_off(servers):
    absent = servers(extension=False)
    absent.load("sdxl")
    plain = absent.make(batch_size=2)
    hires = absent.make(enable_hr=True, hr_scale=1.5, hr_upscaler="Latent", denoising_strength=0.6)
    webui = servers()
    webui.load("sdxl")

    def the_same() -> None:
        assert webui.make(batch_size=2) == plain
        assert webui.make(enable_hr=True, hr_scale=1.5, hr_upscaler="Latent", denoising_strength=0.6) == hires

    the_same()
    assert webui.make({}, batch_size=2) != plain
    the_same()
    for what in ("sampling_pass.refine", "sampling_pass.compose", "sampling_pass.encode_prompt"):
        webui.probe("break", what=f"tome_ext.hosts.webui.sampling.{what}")
        webui.make({})
        assert any("broken by the test" in comment for comment in webui.comments())
        webui.probe("break", what="")
        the_same()
        assert webui.comments() == []


def test_an_image_of_a_batch_is_the_image_made_alone(webui):
    for tome in ({}, {"preset": "paper"}, {"preset": "reference"}):
        third = webui.make(tome, batch_size=3).pixels[2]
        alone = webui.make(tome, seed=3).pixels[0]
        assert np.abs(third - alone).max() <= BATCH_TOLERANCE
        counted = webui.make(tome, n_iter=3).pixels[2]
        assert np.array_equal(counted, alone)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_feature(servers, feature: Feature):
    server = servers(feature.flags)
    server.probe("break", what="")
    if feature.missing(server):
        pytest.skip(f"the host has no {feature.missing(server)}")
    server.load(feature.checkpoint)
    with server.options(feature.options):
        request = feature.request(server)
        if "tab" in request:
            server.make(**request)  # the host draws an img2img's first latent from where the job before left off
        plain = server.make(**request)
        first = server.make(feature.tome, **request)
        comments = server.comments()
        again = server.make(feature.tome, **request)
        assert server.comments() == comments
        merged = server.make({**feature.tome, "iterations": 0, "binding_iterations": 0}, **request)
        assert again == first, "the same request gave two different images"
        assert server.make(**request) == plain, "ToMe left something behind"
    differs = [not np.array_equal(a, b) for a, b in zip(first.pixels, plain.pixels, strict=True)]
    assert all(differs) if feature.merges else not any(differs)
    assert (merged != first) == feature.refines
    assert [one for one in comments if feature.comment and feature.comment in one] or not feature.comment
    assert len(comments) == bool(feature.comment), comments
    write_table(row(feature, plain, first, comments))


def test_a_failure_stands_in_the_infotext_of_the_batch_that_it_belongs_to(webui):
    for what, settings in (("encode_prompt", False), ("refine", True)):
        webui.probe("break", what=f"tome_ext.hosts.webui.sampling.sampling_pass.{what}", times=1)
        first, second = webui.make({}, n_iter=2).infotexts[-2:]
        webui.probe("break", what="")
        assert "ToMe failure: " in first
        assert "broken by the test" in first
        assert ("ToMe: balanced" in first) == settings
        assert "ToMe: balanced" in second
        assert ("ToMe failure: " in second) == settings  # what cannot be refined is not tried again


@pytest.mark.skipif(HOST != "a1111", reason="the others have no such script")
def test_a_script_that_samples_in_its_own_way_begins_each_batch_anew(servers):
    server = servers()
    if not server.has("sd15"):
        pytest.skip("the host has no sd15")
    server.load("sd15")
    image = server.make(seed=9).encoded[0]
    # Without randomness both batches begin with the same noise.
    alternative = ["", True, False, "", "", True, 4, True, 1.0, 0.0, False]
    made = server.make(
        {"window_stop": 1.0},
        "img2img",
        init_images=[image],
        n_iter=2,
        script_name="img2img alternative test",
        script_args=alternative,
    )
    first, second = made.pixels[-2:]
    assert server.comments() == []
    assert np.array_equal(first, second)


@pytest.mark.skipif(HOST != "a1111", reason="the others move the latents within the prediction")
@pytest.mark.parametrize("checkpoint", ["sdxl", "sd15", "sd2-v"])
def test_the_sampler_steps_from_its_own_latents_with_the_noise_of_the_moved_ones(servers, checkpoint):
    server = servers()
    if not server.has(checkpoint):
        pytest.skip(f"the host has no {checkpoint}")
    server.load(checkpoint)
    server.probe("watch")
    server.make(
        {"latent_step": 2, "step_size": 1, "window_stop": 0.6, "every": 1}, batch_size=2, negative_prompt="a boat"
    )
    steps = server.probe("steps")
    assert server.comments() == []
    assert len(steps) == PLAIN["steps"]
    assert [step["moved"] > 1e-3 for step in steps] == [
        number < 3 for number in range(len(steps))
    ]  # places 0, 0.2, 0.4, 0.6 …
    for step in steps:
        close = 1e-6 * step["size"]
        assert step["left"] >= step["moved"] / 2
        assert step["off"] <= close
        assert step.get("drift", 0.0) <= close


def test_different_prompts_in_one_batch(webui):
    parts = ["a red cat and a blue dog", LONG, "a green bird wearing a hat"]
    matrix = {"script_name": "Prompt matrix", "script_args": [False, False, "positive", "comma", 0]}
    prompts = [
        ", ".join([parts[0], *(part for bit, part in enumerate(parts[1:]) if number >> bit & 1)]) for number in range(4)
    ]
    for tome in ({}, {"preset": "paper"}):
        together = webui.make(tome, prompt="|".join(parts), batch_size=4, **matrix)
        assert len(together.pixels) == 5  # a grid comes first
        for made, text, prompt in zip(together.pixels[1:], together.infotexts[1:], prompts, strict=True):
            assert text.startswith(prompt)
            alone = webui.make(tome, prompt=prompt).pixels[0]
            if len(prompt) > len(LONG):  # the others are padded to these by the host, with ToMe or without
                assert np.abs(made - alone).max() <= BATCH_TOLERANCE


@pytest.mark.parametrize("how", ["interrupted", "skipped"])
@pytest.mark.parametrize("at", [1, 2, 3, 7])
def test_interrupt_takes_effect_within_one_pass(webui, at, how):
    plain = webui.make()
    webui.probe("stop", at=at, how=how)
    webui.make({"preset": "paper", "window_stop": 0.6})
    state = webui.probe()
    assert state["calls"] >= at
    assert state["after"] == 0
    assert webui.make() == plain


def test_a_pass_of_another_extension_is_left_alone(webui):
    """ADetailer and its like make images of their own in the middle of a job."""
    plain, made = webui.make(batch_size=2), webui.make({}, batch_size=2)
    webui.probe("inner", on=1)
    try:
        assert webui.make(batch_size=2) == plain
        assert webui.make({}, batch_size=2) == made
        assert webui.comments() == []
    finally:
        webui.probe("inner", on=0)


def test_progress_is_told_during_refinement(webui):
    told = []
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(webui.make, {"preset": "paper", "window_stop": 1.0}, steps=12)
        while not job.done():
            answer = webui.ask("/sdapi/v1/progress?skip_current_image=true")
            if answer["state"]["job_count"] > 0:
                step = answer["state"]["sampling_step"]
                told.append((answer["progress"], answer["eta_relative"], answer["textinfo"], step))
            time.sleep(0.05)
    progress = [one for one, _, _, _ in told]
    assert len(set(progress)) > 12  # more than the host's own steps
    assert all(later >= before - 1e-9 for before, later in itertools.pairwise(progress))
    assert any(eta > 0 for _, eta, _, _ in told)
    assert "ToMe: refining step 2 of 12" in [text for _, _, text, _ in told]
    assert {type(step) for _, _, _, step in told} == {int}
    assert "11 of 12 steps refined" in webui.bound()  # the last one lies at the end of the schedule


def test_memory_is_made_by_checkpointing(webui):
    expected = webui.make({})
    webui.probe("break", what="tome_ext.hosts.webui.sampling.sampling_pass.refine", times=1, error="memory")
    assert np.abs(webui.make({}).pixels[0] - expected.pixels[0]).max() <= 1
    assert webui.comments() == []


def test_without_memory_the_image_has_no_refinement(webui):
    merged = webui.make({"preset": "fast"})
    webui.probe("break", what="tome_ext.hosts.webui.sampling.sampling_pass.refine", error="memory")
    assert webui.make({}) == merged
    assert webui.comments() == ["ToMe: out of memory: continuing without refinement"]


def test_attention_maps_are_added_and_change_nothing(webui):
    plain = webui.make({}, batch_size=2, n_iter=2)
    mapped = webui.make({"show_maps": True}, batch_size=2, n_iter=2)
    assert len(mapped.pixels) == 8
    for before, after in zip(plain.pixels, mapped.pixels, strict=False):
        assert np.array_equal(before, after)
    assert [text.split("Seed: ")[1].split(",")[0] for text in mapped.infotexts] == [*"12341234"]
    assert webui.probe()["texts"] == [8, 8]


@pytest.mark.slow
def test_many_jobs_leave_nothing(webui):
    small = {"steps": 3, "width": 128, "height": 128}
    for _ in range(20):
        webui.make({"window_stop": 0.5}, **small)
    before = webui.probe()
    for number in range(200):
        webui.make({"window_stop": 0.5, "show_maps": number % 2 == 0}, **{**small, "seed": number})
    after = webui.probe()
    for name in ("hooks", "own_forwards", "callbacks", "frozen", "jobs", "tensors", "bytes"):
        assert after[name] == before[name], name
    assert after["jobs"] == 0
    assert after["resident_kb"] - before["resident_kb"] < 20_000
