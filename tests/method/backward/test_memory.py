from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.ldm_unet import LdmUNet
from tome_ext.method.backward import memory
from tome_ext.method.backward.memory import Plan, plan, row_bytes
from tome_ext.method.refine import refine
from tome_ext.method.state import Step, Tokens
from tome_ext.settings import preset


@pytest.fixture
def unet():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LdmUNet(in_place=False).eval()


@pytest.fixture
def step(unet):
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, 4, 8, 8, generator=generator)
    null = torch.randn(2, 9, 24, generator=generator)
    return Step(unet, latents, lambda x, context, images: unet(x, context), 0, 10, 5.0, null, 7.0)


@pytest.fixture
def tokens():
    generator = torch.Generator().manual_seed(2)
    context, phrase = torch.randn(2, 9, 24, generator=generator), torch.randn(3, 9, 24, generator=generator)
    return Tokens(context, (0, 0, 1), (2, 5, 3), phrase, ((1, 2, 3, 4, 5), (1, 2, 3)))


@pytest.mark.parametrize("name", ["balanced", "paper", "reference"])
@pytest.mark.parametrize("small", [Plan(rows=1, checkpointing=True), Plan(rows=2), Plan(checkpointing=True)])
def test_the_tokens_do_not_depend_on_the_plan(step, tokens, name, small, monkeypatch):
    settings = preset(name).replace(step_size=0.01, binding_step_size=0.01, binding_weight=1.0, entropy_weight=10.0)
    largest, latents, report = refine(step, tokens, settings.replace(checkpointing="off"))
    monkeypatch.setattr("tome_ext.method.backward.memory.plan", lambda *_: small)
    smallest, small_latents, small_report = refine(step, tokens, settings)
    torch.testing.assert_close(smallest.context, largest.context, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(small_latents, latents, rtol=1e-6, atol=1e-6)
    assert (largest.context - tokens.context).abs().max() > 1e-2
    for kind in ("binding", "entropy"):
        for values, small_values in zip(getattr(report, kind), getattr(small_report, kind), strict=True):
            assert values == pytest.approx(small_values, rel=1e-4)


def test_on_asks_for_the_smallest_plan_and_off_for_the_fastest(step, tokens):
    assert plan(step, tokens, preset("paper").replace(checkpointing="on")) == Plan(rows=1, checkpointing=True)
    assert plan(step, tokens, preset("paper").replace(checkpointing="off")) == Plan()


@pytest.mark.parametrize(
    ("times", "chosen"),
    [
        (20, Plan()),
        (19.9, Plan(rows=4)),
        (4, Plan(rows=1)),
        (1.3, Plan(rows=1)),
        (1.2, Plan(rows=1, checkpointing=True)),
    ],
)
def test_auto_chooses_by_the_free_memory(step, tokens, monkeypatch, times, chosen):
    free = 1.001 * times * row_bytes(step, preset("paper"))
    monkeypatch.setattr(memory, "free_memory", lambda device: free)
    assert plan(step, tokens, preset("paper")) == chosen


def test_auto_never_checkpoints_where_free_memory_is_unknown(step, tokens, monkeypatch):
    assert memory.free_memory(torch.device("cpu")) is None
    assert plan(step, tokens, preset("paper")) == Plan()
    monkeypatch.setattr(memory, "row_bytes", lambda *_: 10 * 2**30)
    assert plan(step, tokens, preset("paper")) == Plan(rows=1)


def test_a_row_is_reckoned_at_the_resolution_of_the_losses(step):
    half = preset("paper").replace(resolution=0.5)
    large = replace(step, latents=torch.zeros(1, 4, 64, 64))
    assert row_bytes(large, half) < 0.3 * row_bytes(large, preset("paper"))
    assert row_bytes(replace(large, resizable=False), half) == row_bytes(large, preset("paper"))


@pytest.mark.parametrize("rows", [1, None])
def test_a_finished_image_is_not_evaluated_any_more(step, tokens, rows, monkeypatch):
    seen = []
    predict = step.predict
    step = replace(step, predict=lambda x, c, images: (seen.append(tuple(images)), predict(x, c, images))[1])
    monkeypatch.setattr("tome_ext.method.backward.memory.plan", lambda *_: Plan(rows=rows))
    monkeypatch.setattr("tome_ext.method.refine.finished", lambda image, *_: image == 0)
    _, _, report = refine(step, tokens, preset("balanced").replace(iterations=2))
    assert {tokens.image[number] for number in report.entropy[0]} == {0, 1}
    assert {tokens.image[number] for number in report.entropy[1]} == {1}
    later = seen[len(seen) - seen[::-1].index((1,)) :] if rows else seen[-2:]
    assert all(set(images) == {1} for images in later)
