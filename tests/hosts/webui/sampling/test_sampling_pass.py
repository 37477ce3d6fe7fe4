"""What a sampling pass gives the model and the method, call by call."""

from __future__ import annotations

import pytest
import torch

from tests.counting import Operations
from tests.hosts.webui.sampling.job import Options, Processing, gentle
from tests.hosts.webui.sampling.test_job import PROMPT, build, fast, forget
from tome_ext.hosts.webui.sampling import sampling_pass
from tome_ext.method.state import Report
from tome_ext.settings import preset


@pytest.fixture
def sdxl(monkeypatch):
    yield build(monkeypatch, sdxl=True)
    forget()


def by_hand(host, members="close"):
    """a(1) red(2) cat(3) and(4) a(5) blue(6) dog(7) EOT(8); clean: a(1) cat(2) and(3) a(4) dog(5) EOT(6)"""
    own, clean = (host.model.embedder[0].encode(text) for text in (PROMPT, "a cat and a dog"))
    if members == "zero":
        gone = torch.zeros_like(own[:1])
        cat, dog = (1.1 * own[noun] + 1.2 * own[noun - 1] for noun in (3, 7))
        return torch.cat([own[:2], gone, cat[None], own[4:6], gone, dog[None], clean[8:]])
    return torch.cat([own[:2], (own[2] + own[3])[None], own[4:6], (own[6] + own[7])[None], clean[6:]])


@pytest.mark.parametrize("kind", ["sd15", "sdxl"])
def test_the_model_sees_composite_tokens_and_clean_end_tokens_in_every_call(monkeypatch, kind):
    host = build(monkeypatch, sdxl=kind == "sdxl")
    texts = host.run(Processing([PROMPT]), fast(related_weight=1.0)).texts()
    forget()
    assert len(texts) == 10
    for text in texts:
        torch.testing.assert_close(text[0], by_hand(host))


def test_the_authors_zero_vectors_and_weights(sdxl):
    settings = preset("reference").replace(iterations=0, binding_iterations=0)
    text = sdxl.run(Processing([PROMPT]), Options(settings)).texts()[0]
    torch.testing.assert_close(text[0], by_hand(sdxl, "zero"))


def refined_steps(host, monkeypatch, settings, scale, calls=1):
    """The steps that the method is given, which leaves everything as it is."""
    steps, vectors = [], []
    real = host.model.apply_model

    def apply(x, condition):
        vectors.append(condition["vector"].clone())
        return real(x, condition)

    def refine(step, tokens, own):
        before = len(vectors)
        step.predict(step.latents, tokens.context, [0])
        steps.append((step, tokens, vectors[before]))
        return tokens, step.latents, Report(step.index)

    monkeypatch.setattr(sampling_pass, "refine", refine)
    monkeypatch.setattr(host.model, "apply_model", apply)
    host.run(Processing([PROMPT]), Options(settings), scale=scale)
    return steps


def test_the_guidance_of_the_phrases_own_runs_is_the_jobs(sdxl, monkeypatch):
    steps = refined_steps(sdxl, monkeypatch, gentle(phrase_latent="own"), scale=6.5)
    assert [step.guidance for step, _, _ in steps] == [6.5] * len(steps)
    null = sdxl.model.embedder[0].encode("")
    torch.testing.assert_close(steps[0][0].null[0], null)


@pytest.mark.parametrize("how", ["prompt", "zeros"])
def test_the_losses_see_the_prompts_pooled_vector_or_zeros(sdxl, monkeypatch, how):
    """The sizes beside it are the job's in any case."""
    from tests.hosts.webui.sampling import standins

    steps = refined_steps(sdxl, monkeypatch, gentle(loss_pooled=how), scale=4.0)
    own = standins.stacked_plain(sdxl.condition(Processing([PROMPT]))[0], 0)["vector"][0]
    pooled = torch.zeros(standins.POOLED) if how == "zeros" else own[: standins.POOLED]
    assert own[: standins.POOLED].any()
    torch.testing.assert_close(steps[0][2][0], torch.cat([pooled, own[standins.POOLED :]]))


def test_the_prompts_own_tokens_are_told_without_bos_and_eot(sdxl, monkeypatch):
    _, tokens, _ = refined_steps(sdxl, monkeypatch, gentle(), scale=4.0)[0]
    assert tokens.text == ((1, 2, 3, 4, 5),)
    assert tokens.position == (2, 5)


def test_maps_are_taken_once_when_refinement_is_over(sdxl, monkeypatch):
    taken = []

    def heat_maps(step, plain, tokens, groups, layers):
        taken.append((step.index, plain, tokens))
        return []

    monkeypatch.setattr(sampling_pass, "heat_maps", heat_maps)
    run = sdxl.run(Processing([PROMPT]), Options(gentle(window_stop=0.4), show_maps=True))
    ((index, plain, tokens),) = taken
    assert index == 4
    torch.testing.assert_close(plain, sdxl.model.embedder[0].encode(PROMPT))
    assert torch.equal(tokens.context[0], run.texts()[-1][0])  # refined to the end
    assert not torch.equal(tokens.context[0], run.texts()[0][0])


@pytest.mark.parametrize("timesteps", [False, True])
def test_the_device_is_waited_for_as_often_for_many_images_as_for_one(sdxl, monkeypatch, timesteps):
    """A number that is read of a tensor waits for a GPU: a call's noise levels and prefixes are read once."""
    waits = []
    apply = sampling_pass.SamplingPass.apply

    def counted(self, call, *, maps=False):
        with Operations() as done:
            apply(self, call, maps=maps)
        waits.append(done.names.count("_local_scalar_dense"))

    monkeypatch.setattr(sampling_pass.SamplingPass, "apply", counted)
    for images in (1, 4):
        sdxl.run(Processing([PROMPT] * images, steps=2), fast(), timesteps=timesteps)
    assert len(set(waits)) == 1
    assert waits[0] <= 3
