"""A call of the pipeline that samples something else than was announced is sampled plain, with a failure."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.hosts.diffusers.sampling import ONE, TWO, bind, given, hooks, make, settings_of
from tome_ext.hosts.diffusers import attach
from tome_ext.hosts.diffusers.announced import Announced, compare
from tome_ext.hosts.diffusers.call import Mismatch, UNetCall
from tome_ext.hosts.diffusers.encoding import PipelineEncoder, encode, encode_with

FAST = settings_of("fast")
OTHER = "a green moon over the hill"


@pytest.fixture(params=["sdxl", "sd15"])
def pipe(request):
    return request.getfixturevalue(request.param)


def sampled(pipe, prompts, announced=TWO, seeds=(1,), settings=FAST, attached=None, **more):
    """The pictures of ``prompts`` without ToMe, and with ToMe attached for ``announced``, and its report."""
    plain = make(pipe, prompts, seeds, steps=1, **more)
    with attach(pipe, settings, announced, **(attached or {})) as tome:
        images = make(pipe, prompts, seeds, steps=1, **more)
    return plain, images, tome.report


def refused(plain, images, report, text):
    assert np.array_equal(plain, images)
    assert all(text in entry.failure for entry in report if entry.bound)
    assert any(entry.bound for entry in report)


def test_another_prompt_than_the_announced_one(pipe):
    refused(*sampled(pipe, [OTHER]), "is not that of its announced prompt 'a cat wearing")


def test_another_prompt_for_the_second_text_encoder(sdxl):
    refused(*sampled(sdxl, [TWO], prompt_2=[OTHER]), "no other prompt_2")


def embeds(pipe, text, times=1):
    """The encoded ``text`` as arguments of a call."""
    tokens, pooled = encode(pipe, [text])
    tokens = torch.cat([tokens] * times, 1)
    found = {"prompt_embeds": tokens, "negative_prompt_embeds": torch.zeros_like(tokens)}
    if pooled is not None:
        found |= {"pooled_prompt_embeds": pooled, "negative_pooled_prompt_embeds": torch.zeros_like(pooled)}
    return found


def test_embeddings_of_another_text(pipe):
    refused(*sampled(pipe, None, **embeds(pipe, OTHER)), "no prompt_embeds of another text")


def test_embeddings_of_the_announced_text_are_merged(pipe):
    plain, images, report = sampled(pipe, None, **embeds(pipe, TWO))
    assert report[0].failure == ""
    assert not np.array_equal(plain, images)


def test_longer_embeddings_than_the_announced_text(sdxl):
    refused(*sampled(sdxl, None, **embeds(sdxl, TWO, 2)), "is not that of its announced prompt")


def test_clip_skip_in_the_call_alone(sdxl):
    refused(*sampled(sdxl, [TWO], clip_skip=1), "clip_skip")


def test_clip_skip_in_both(sdxl):
    plain, images, report = sampled(sdxl, [TWO], clip_skip=1, attached={"clip_skip": 1})
    assert report[0].failure == ""
    assert not np.array_equal(plain, images)


def test_prompts_in_another_order(sdxl):
    refused(*sampled(sdxl, [ONE, TWO], [TWO, ONE], seeds=(1, 2)), "image 1 is not that of its announced prompt")


@pytest.mark.parametrize("announced", [1, 2])
def test_more_or_fewer_images_than_announced(pipe, announced):
    """Also where as many rows come as the images and their negative prompts would have: only the pipeline knows."""
    for guidance in (1.0, 5.0):
        found = sampled(pipe, [TWO] * (3 - announced), [TWO] * announced, range(3 - announced), guidance_scale=guidance)
        refused(*found, f"attached for {announced} image(s)")


def test_several_images_per_prompt_in_the_call_alone(pipe):
    for guidance in (1.0, 5.0):
        more = {"num_images_per_prompt": 2, "guidance_scale": guidance}
        refused(*sampled(pipe, [TWO], seeds=(1, 2), **more), "attached for 1 image(s)")


def test_several_images_per_prompt_in_attach_alone(pipe):
    for guidance in (1.0, 5.0):
        found = sampled(pipe, [TWO], attached={"images_per_prompt": 2}, guidance_scale=guidance)
        refused(*found, "attached for 2 image(s)")


def test_a_pipeline_that_does_not_tell_whether_it_uses_guidance(sdxl):
    """Two rows of one prompt are then two images, and not a negative prompt."""
    own = PipelineEncoder(sdxl).encode(TWO).tokens
    image = Announced(encode_with(sdxl, TWO, FAST), own)
    latents, blank = torch.zeros(2, 4, 8, 8), torch.zeros_like(own)
    compare(UNetCall.of((latents, 5, torch.stack([blank, own])), {}, 1), [image])
    twice = UNetCall.of((latents, 5, torch.stack([own, own])), {}, 1)
    with pytest.raises(Mismatch, match=r"attached for 1 image\(s\), but the pipeline samples 2"):
        compare(twice, [image])


def test_a_negative_prompt_that_is_the_prompt_is_no_second_image(sdxl):
    _, images, report = sampled(sdxl, [TWO], negative_prompt=[TWO])
    assert report[0].failure == ""
    assert np.isfinite(images).all()


def test_another_prompt_in_a_later_call(sdxl):
    with attach(sdxl, FAST, TWO) as tome:
        first = make(sdxl, [TWO], [1], steps=1)
        assert tome.report[0].failure == ""
        other = make(sdxl, [OTHER], [1], steps=1)
        third = make(sdxl, [TWO], [1], steps=1)
    assert np.array_equal(first, third)
    assert np.array_equal(other, make(sdxl, [OTHER], [1], steps=1))
    assert "announced prompt" in tome.report[0].failure


def test_a_mismatch_is_reported_once_and_not_for_each_step(sdxl, caplog):
    with attach(sdxl, FAST, TWO) as tome:
        make(sdxl, [OTHER], [1], steps=3)
    assert len(caplog.records) == 1
    assert len(tome.report[0].warnings) == 1


def test_a_string_is_one_prompt(sdxl):
    one, _ = bind(sdxl, FAST, TWO, [1], steps=1)
    listed, report = bind(sdxl, FAST, [TWO], [1], steps=1)
    assert np.array_equal(one, listed)
    assert len(report) == 1
    with attach(sdxl, FAST, TWO, clean="two animals") as tome:
        assert tome.report[0].groups.clean == "two animals"


@pytest.mark.parametrize("prompts", [None, 5, [TWO, None], [b"a red cat"]])
def test_prompts_that_are_no_text(sdxl, prompts):
    with pytest.raises(TypeError, match="prompts: must be a string"), attach(sdxl, FAST, prompts):
        raise AssertionError("not reached")


def test_no_images_per_prompt(sdxl):
    with pytest.raises(ValueError, match="images_per_prompt = 0"), attach(sdxl, FAST, TWO, images_per_prompt=0):
        raise AssertionError("not reached")


def test_attaching_twice_is_an_error(sdxl):
    with attach(sdxl, FAST, TWO):
        with pytest.raises(RuntimeError, match="attached to this pipeline's UNet already"), attach(sdxl, FAST, TWO):
            raise AssertionError("not reached")
        images = make(sdxl, [TWO], [1], steps=1)
    assert not hooks(sdxl)
    once, _ = bind(sdxl, FAST, [TWO], [1], steps=1)
    assert np.array_equal(images, once)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_rounding_is_no_other_prompt(sdxl, kind):
    """An encoder in a narrow type gives slightly other numbers in a batch of another size."""
    tokens, other = encode(sdxl, [TWO, OTHER])[0]
    image = Announced(encode_with(sdxl, TWO, FAST), tokens)

    def given_as(row):
        return UNetCall.of((torch.zeros(1, 4, 8, 8), 5, row[None].to(kind)), {}, 1)

    compare(given_as(tokens * (1 + torch.finfo(kind).eps)), [image])
    for row in (other, tokens * float("nan")):
        with pytest.raises(Mismatch):
            compare(given_as(row), [image])


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_merging_alone_copies_no_latents(sdxl, guidance):
    own, handle = given(sdxl)
    try:
        with attach(sdxl, FAST, TWO):
            final, last = given(sdxl)
            make(sdxl, [TWO], [1], steps=2, guidance_scale=guidance)
            last.remove()
    finally:
        handle.remove()
    assert [one[0] is two[0] for one, two in zip(own, final, strict=True)] == [True, True]
    assert not any(torch.equal(one[1], two[1]) for one, two in zip(own, final, strict=True))
