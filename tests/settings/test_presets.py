"""What each preset does, by what it computes on a small UNet."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor

from tests.models import WIDTH, sdxl_unet, step_of, tokens_of
from tome_ext.method.refine import in_window, refine
from tome_ext.settings import preset

NEVER = (-math.inf,)


@pytest.fixture(scope="module")
def unet():
    return sdxl_unet()


def step_for(unet, index=0, total=50, size=(16, 16)):
    return step_of(unet, 1, size, index=index, total=total, null=torch.randn(1, 77, WIDTH), guidance=7.5)


@pytest.mark.parametrize(
    ("name", "binding", "entropy"),
    [("reference", 3, 6), ("reference-attributes", 3, 4), ("paper", 4, 4), ("balanced", 1, 1)],
)
def test_iterations_of_a_step(unet, name, binding, entropy, monkeypatch):
    """Where no early stop ends it."""
    monkeypatch.setattr("tome_ext.method.objective.THRESHOLDS", NEVER)
    _, _, report = refine(step_for(unet), tokens_of([2]), preset(name))
    assert (len(report.binding), len(report.entropy)) == (binding, entropy)


@pytest.mark.parametrize(("name", "calls"), [("reference", 7), ("reference-attributes", 5), ("paper", 10), ("fast", 0)])
def test_refined_calls_of_fifty(unet, name, calls):
    refined = [in_window(step_for(unet, index), preset(name)) for index in range(50)]
    assert refined == [True] * calls + [False] * (50 - calls)


def test_balanced_refines_every_second_step_of_the_first_fifth(unet):
    refined = [index for index in range(50) if in_window(step_for(unet, index), preset("balanced"))]
    assert refined == [0, 2, 4, 6, 8]


class Spy(AttnProcessor):
    """Notes the attention that a layer computes."""

    def __init__(self, name, seen):
        super().__init__()
        self.name, self.seen = name, seen

    def __call__(self, attn, *args, **kwargs):
        scores = attn.get_attention_scores
        attn.get_attention_scores = lambda *a: self.seen.setdefault(self.name, scores(*a))
        try:
            return super().__call__(attn, *args, **kwargs)
        finally:
            del attn.get_attention_scores


def entropies(layers, latents, tokens):
    """Of each object, in nats: the mean over heads and ``layers`` of what they compute themselves, normalised."""
    unet, seen = sdxl_unet(), {}
    for layer in layers:
        unet.get_submodule(f"{layer}.attn2").set_processor(Spy(layer, seen))
    with torch.no_grad():
        unet(latents, 801, tokens.context)
    maps = torch.stack([seen[layer].mean(0) for layer in layers]).mean(0)[:, list(tokens.position)]
    shares = maps / maps.sum(0)
    return -(shares * shares.log()).sum(0)


LAYERS = {
    "paper": [f"up_blocks.0.attentions.0.transformer_blocks.{k}" for k in (0, 1, 2)],
    "balanced": [f"up_blocks.0.attentions.1.transformer_blocks.{k}" for k in (1, 2, 3)],
}


def test_the_layers_whose_maps_the_entropy_is_of(unet):
    tokens, step = tokens_of([2]), step_for(unet)
    found, wanted = {}, {}
    for name, layers in LAYERS.items():
        settings = preset(name).replace(iterations=1, resolution=1.0, binding_weight=0.0)
        found[name] = list(refine(step, tokens, settings)[2].entropy[0].values())
        wanted[name] = entropies(layers, step.latents, tokens).tolist()
        assert found[name] == pytest.approx(wanted[name], rel=1e-5)
    assert found["paper"] != pytest.approx(wanted["balanced"], rel=1e-3)  # so that the test can tell layers


@pytest.mark.parametrize("name", ["reference", "paper", "balanced"])
def test_the_size_that_the_losses_look_at(unet, name):
    sizes = set()
    handle = unet.conv_in.register_forward_pre_hook(lambda _, inputs: sizes.add(tuple(inputs[0].shape[-2:])))
    once = preset(name).replace(iterations=1, binding_iterations=1)
    refine(step_for(unet, size=(32, 32)), tokens_of([1]), once)
    handle.remove()
    assert sizes == {(16, 16) if name == "balanced" else (32, 32)}


@pytest.mark.parametrize(("name", "moved"), [("reference", "all"), ("paper", "composites"), ("balanced", "composites")])
def test_what_moves(unet, name, moved):
    tokens, step = tokens_of([2]), step_for(unet)
    refined, latents, _ = refine(step, tokens, preset(name).replace(iterations=1, binding_iterations=1))
    changed = (refined.context - tokens.context).abs().amax(-1)[0] > 0
    if moved == "all":
        assert changed[1:70].all()
    else:
        assert changed.nonzero().flatten().tolist() == list(tokens.position)
    assert torch.equal(latents, step.latents) == (moved == "composites")


def test_the_papers_step_does_not_depend_on_where_in_the_window_it_is(unet):
    """The authors' code and our default take smaller steps later."""
    tokens = tokens_of([1])
    lengths = {}
    for name in ("paper", "balanced", "reference-attributes"):
        settings = preset(name).replace(iterations=1, binding_weight=0.0, phrase_latent="same")
        moves = [refine(step_for(unet, i, 11), tokens, settings)[0].composites - tokens.composites for i in (0, 5)]
        lengths[name] = float(moves[1].norm() / moves[0].norm())
    assert lengths == pytest.approx({"paper": 1.0, "balanced": 0.5, "reference-attributes": 0.5}, rel=1e-3)


def test_the_papers_loss_is_one_sum_and_the_authors_are_two(unet):
    """Separate losses: the entropy is that of tokens that the binding loss has moved already."""
    tokens, step = tokens_of([1]), step_for(unet)
    for name, moves_first in (("paper", False), ("reference-attributes", True)):
        settings = preset(name).replace(iterations=1, binding_iterations=1, phrase_latent="same")
        with_binding, without = (
            refine(step, tokens, settings.replace(binding_weight=weight))[2].entropy[0][0]
            for weight in (settings.binding_weight, 0.0)
        )
        assert (with_binding != without) == moves_first
