"""Variants: what they are made of, on a model with random weights."""

import dataclasses

import numpy as np
import pytest
import torch

from tome_ext.research.benchmark import Sampling
from tome_ext.research.miniature import compare, model, product, sampling, variants
from tome_ext.research.miniature.prompt_text import PromptText
from tome_ext.research.miniature.sampling import draw, noise, ranked_noise
from tome_ext.research.miniature.world import prompts
from tome_ext.research.miniature.world.things import held_out

SAMPLING = Sampling(steps=3, guidance=3.0, batch=8)


@pytest.fixture(scope="module")
def pipe():
    torch.manual_seed(0)
    return model.pipeline(model.autoencoder(), *model.text_encoders(), model.unet())


@pytest.fixture(scope="module")
def text(pipe):
    return PromptText(pipe, prompts.pairs(1, unseen=True)[0])


def test_pairs_are_of_their_kind_and_sets_share_none():
    sets = [prompts.both(60, which) for which in (prompts.DEVELOPMENT, prompts.CONFIRMATION)]
    assert not {prompt.text for prompt in sets[0]} & {prompt.text for prompt in sets[1]}
    for prompt in sets[0] + sets[1]:
        unseen = held_out(*(thing.shape for thing in prompt.things))
        assert (prompt.family == prompts.UNSEEN) is unseen


def test_a_misbound_prompt_belongs_to_no_other_set():
    other = {prompt.text for prompt in prompts.both(200, prompts.CONFIRMATION)}
    assert not other & {prompts.exchanged(prompt).text for prompt in prompts.both(200)}


def test_plain_sampling_is_the_pipelines_own(pipe, text):
    made = draw(pipe, [variants.plain(text)], [noise(pipe, 3)], SAMPLING)[0]
    pipe.set_progress_bar_config(disable=True)
    call = {"num_inference_steps": 3, "guidance_scale": 3.0, "height": 24, "width": 48, "output_type": "np"}
    own = pipe(prompt=text.prompt.text, latents=noise(pipe, 3), **call).images[0]
    assert np.abs((own * 255).round() - made).max() <= 1


def test_a_picture_does_not_depend_on_its_batch(pipe, text):
    other = PromptText(pipe, prompts.pairs(2, unseen=False)[1])
    plans = [variants.plain(text), variants.merged()(other), variants.part_alone("eot")(text)]
    together = draw(pipe, plans, [noise(pipe, n) for n in range(3)], SAMPLING)
    for number, plan in enumerate(plans):
        alone = draw(pipe, [plan], [noise(pipe, number)], SAMPLING)[0]
        assert np.abs(alone.astype(int) - together[number]).max() <= 1


@pytest.mark.parametrize("variant", variants.EVERY, ids=lambda variant: variant.name)
def test_every_variant_gives_a_whole_context(variant, text):
    plan = variant.plan(text)
    assert plan.context.shape == (77, model.CONTEXT)
    assert plan.context.isfinite().all()
    assert (plan.context == text.context).all() == variant.name.startswith("plain") or plan.contrast is not None


def test_substituting_eot_and_padding_is_ets(text):
    both = variants.merged(ets=True)(text).context
    eot, padding = variants.eot_only(text).context, variants.padding_only(text).context
    end = text.clean_end
    assert torch.equal(both[end], eot[end])
    assert torch.equal(both[end + 1 :], padding[end + 1 :])
    assert torch.equal(eot[:end], padding[:end])


def test_merged_words_are_sums_at_the_nouns(text):
    for place, sources in zip(text.merged_nouns, text.phrase_places, strict=True):
        assert torch.allclose(text.merged_words[place], text.context[list(sources)].sum(0), atol=1e-5)


def test_projection_makes_composites_apart_and_keeps_their_lengths():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(2, 16, generator=generator) + 1
    made = variants.apart(vectors, 1.0)
    assert torch.allclose(made.norm(dim=1), vectors.norm(dim=1))
    assert abs(float(made[0] @ vectors[1])) < 1e-4


def test_a_later_text_takes_over_at_its_share(text):
    plan = variants.first_then(variants.plain, 0.5, variants.merged())(text)
    assert torch.equal(plan.at(0.4), text.context)
    assert torch.equal(plan.at(0.5), variants.merged()(text).context)


def test_contrast_without_weight_is_plain(pipe, text):
    plan = variants.against(0.0, 1.0)(text)
    made = draw(pipe, [plan, variants.plain(text)], [noise(pipe, 1)] * 2, SAMPLING)
    assert np.abs(made[0].astype(int) - made[1]).max() <= 1


def test_ranked_noise_is_one_of_the_candidates(pipe, text):
    chosen = ranked_noise(pipe, variants.plain(text), 5, 3, SAMPLING)
    candidates = [noise(pipe, 5 + 1_000_003 * number) for number in range(3)]
    assert any(torch.equal(chosen, one) for one in candidates)


def test_an_image_is_merged_where_its_first_maps_confuse_things(pipe, text, monkeypatch):
    one, two = torch.zeros(72, 77), torch.zeros(72, 77)
    (colour, noun), (other_colour, other_noun) = text.phrase_places
    for maps, places in ((one, (colour, noun)), (two, (colour, other_noun))):
        maps[:36, list(places)] = 1.0
        maps[36:, [place for place in (colour, noun, other_colour, other_noun) if place not in places]] = 1.0
    monkeypatch.setattr(sampling, "first_maps", lambda *_: torch.stack([one, two]))
    latents = torch.cat([sampling.noise(pipe, 1)] * 2)
    assert sampling.confuses(pipe, [variants.plain(text)] * 2, latents, SAMPLING) == [False, True]


def test_a_comparison_goes_on_where_it_stopped(pipe, tmp_path):
    asked = prompts.both(1)
    chosen = [variants.PLAIN, variants.ENDS[0], product.REFINED[0]]
    comparison = compare.Comparison(asked, 1, SAMPLING)
    rows = compare.run(pipe, chosen, comparison, tmp_path, say=lambda line: None)
    assert {row.arm for row in rows} == {one.name for one in chosen}
    lines = (tmp_path / "results-0-of-1.jsonl").read_text().count("\n")
    compare.run(None, chosen, comparison, tmp_path, say=lambda line: None)
    assert (tmp_path / "results-0-of-1.jsonl").read_text().count("\n") == lines == 6


def test_names_are_told_apart():
    names = [one.name for one in (*variants.EVERY, *variants.PARTS[1:], *product.REFINED)]
    assert len(set(names)) == len(names)
    assert dataclasses.is_dataclass(variants.Variant)
