"""The preset ``reference`` against recordings of the authors' code, number for number."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers import EulerDiscreteScheduler
from diffusers.models.attention_processor import AttnProcessor

from tests.method.conftest import GOLDEN, golden, recording
from tome_ext.method.merging import merge, substitute_end_tokens
from tome_ext.method.objective import phrase_target
from tome_ext.method.refine import in_window, refine
from tome_ext.method.state import Step, Tokens
from tome_ext.method.window import inside, noise_place
from tome_ext.settings import preset

EOT_OF_CLEAN = 6  # "a cat and a dog"


def settings_of(recorded):
    """The preset; one recording of the object setting was made without its pose loss."""
    name = "reference" if recorded.case["eot_replace_step"] == 0 else "reference-attributes"
    pose = {} if recorded.case.get("use_pose_loss") else {"position_weight": 0.0}
    return preset(name).replace(window_stop=1.0, **pose)


def test_merged_embeddings(recorded):
    settings = settings_of(recorded)
    merged, positions = merge(recorded.tensors["prompt_embeds"][0], recorded.composites(settings), settings.members)
    assert list(positions) == recorded.positions
    assert (merged - recorded.tensors["merged_embeds"]).abs().max() <= 1e-6


def test_end_tokens(recorded):
    """The text of the first entropy iteration, behind the prompt: substituted in the object setting alone."""
    settings = settings_of(recorded)
    merged = recorded.tensors["merged_embeds"]
    end = recorded.case["prompt_length"] + 1
    if settings.ets == "on":
        clean = recorded.tensors["clean_embeds"][0]
        merged = substitute_end_tokens(merged, [end], clean, [EOT_OF_CLEAN], settings.members)
    assert torch.equal(merged[end:], recorded.tensors["entropy0_text_in"][end:])


def test_binding_iterations(recorded, golden_unet):
    """Tokens after the three iterations to 1e-3, and all losses to four digits, at every recorded step."""
    settings = settings_of(recorded).replace(iterations=0, phrase_latent="same")
    assert len(recorded.steps) == 3
    for index in recorded.steps:
        for number in range(2):
            tensors = {
                k.removeprefix(f"binding{index}_{number}_"): v for k, v in recorded.tensors.items() if "binding" in k
            }
            phrase = recorded.tensors["phrase_embeds"][number : number + 1]
            tokens = Tokens(tensors["token_in"][None, None], (0,), (0,), phrase)
            predict = recorded.predictor(golden_unet, tensors["t"])
            step = Step(golden_unet, tensors["latent"][None], predict, index, 10, sigma=1.0)
            refined, _, report = refine(step, tokens, settings)
            assert (refined.composites[0] - tensors["token_out"]).abs().max() <= 1e-3
            losses = [row[0] for row in report.binding]
            assert losses == pytest.approx(recorded.losses["semantic_losses"][index][number], rel=1e-4)


def test_phrases_own_trajectories(recorded, golden_unet, euler):
    """The latents of the binding loss, which the authors sample from each phrase alone, guided backwards."""
    settings = settings_of(recorded)
    phrases = recorded.tensors["phrase_embeds"]
    tokens = Tokens(recorded.tensors["merged_embeds"][None], (0, 0), tuple(recorded.positions), phrases)
    for index in recorded.steps:
        step = Step(
            golden_unet,
            recorded.tensors["binding0_0_latent"][None],
            recorded.predictor(golden_unet, euler.timesteps[index]),
            index,
            10,
            float(euler.sigmas[index]),
            null=recorded.tensors["negative_embeds"],
            guidance=7.5,
        )
        target = phrase_target(step, tokens, settings)
        for number in range(2):
            recorded_latent = recorded.tensors[f"binding{index}_{number}_latent"]
            assert (target.latents[number] - recorded_latent).abs().max() < 2e-3
        tokens = Tokens(tokens.context, tokens.image, tokens.position, phrases, trajectory=target.trajectory)


def test_the_first_entropy_loss_of_a_step(recorded, golden_unet):
    """With 0.2 times the position loss in its setting. The maps of this network are nearly flat: float32 settles no
    more. What follows an update is compared in float64, below.
    """
    unet = copy.deepcopy(golden_unet)
    unet.set_attn_processor(AttnProcessor())  # the recorded arithmetic: products and softmax written out
    settings = settings_of(recorded).replace(binding_weight=0.0, iterations=1)
    for index in recorded.steps:
        tensors = {k.removeprefix(f"entropy{index}_"): v for k, v in recorded.tensors.items() if "entropy" in k}
        assert float(tensors["step_size"]) == pytest.approx(settings.step_size * (1 - index / 9))
        phrases = recorded.tensors["phrase_embeds"]
        tokens = Tokens(tensors["text_in"][None], (0, 0), tuple(recorded.positions), phrases, (recorded.text,))
        step = Step(unet, tensors["latent_in"], recorded.predictor(unet, tensors["t"]), index, 10, sigma=1.0)
        _, _, report = refine(step, tokens, settings)
        position = sum(report.position[0].values()) * settings.position_weight
        assert sum(report.entropy[0].values()) + position == pytest.approx(
            recorded.losses["entropy_losses"][index][0], rel=5e-4
        )


def early_stop(name, unet, index, monkeypatch, euler=None):
    """The step of a recording again, with its threshold: our report and tokens, and what was recorded."""
    recorded = recording(name)
    monkeypatch.setattr("tome_ext.method.objective.THRESHOLDS", tuple(recorded.losses["thresholds"]))
    tensors = {k.removeprefix(f"entropy{index}_"): v for k, v in recorded.tensors.items() if "entropy" in k}
    context = tensors["text_in"][None]
    tokens = Tokens(context, (0, 0), tuple(recorded.positions), context[:, :0].expand(2, -1, -1), (recorded.text,))
    latents = tensors.get("latent_in")
    if latents is None:  # the first step's
        side = recorded.case["latent_size"]
        noise = torch.randn((1, 4, side, side), generator=torch.Generator().manual_seed(recorded.case["seed"]))
        latents = noise.to(context) * float(euler.init_noise_sigma) / (float(euler.sigmas[0]) ** 2 + 1) ** 0.5
    step = Step(unet, latents, recorded.predictor(unet, tensors["t"]), index, 10, sigma=1.0)
    refined, moved, report = refine(step, tokens, settings_of(recorded).replace(binding_weight=0.0))
    weight = settings_of(recorded).position_weight
    ours = [
        sum(entropy.values()) + weight * sum(position.values())
        for entropy, position in zip(report.entropy, report.position, strict=True)
    ]
    return ours, refined.context[0], moved, recorded.losses["entropy_losses"][index], tensors


@pytest.mark.parametrize("index", range(4))
def test_a_step_ends_after_the_update_whose_loss_is_below_the_threshold(exact_unet, index, monkeypatch):
    """After 2, 1, 4 (all) and 2 updates: as many losses, the same, and the same text and latent in the end."""
    ours, text, latents, theirs, tensors = early_stop("early_stop", exact_unet, index, monkeypatch)
    assert len(theirs) == (2, 1, 4, 2)[index]
    assert ours == pytest.approx(theirs, rel=1e-6)
    assert (text - tensors["text_out"]).abs().max() < 1e-3 * (text - tensors["text_in"]).abs().max()
    assert (latents - tensors["latent_out"]).abs().max() < 1e-3 * (latents - tensors["latent_in"]).abs().max()


@pytest.mark.parametrize(("name", "refined"), [("reference", 7), ("reference-attributes", 5)])
def test_in_fifty_steps_of_their_scheduler_the_same_steps_are_refined(euler, name, refined):
    """By noise level, as hosts count: steps 0 to 6 and 0 to 4 of their configurations."""
    euler.set_timesteps(50)
    places = [noise_place(float(sigma)) for sigma in euler.sigmas[:50]]
    within = [inside(place, index, preset(name)) for index, place in enumerate(places)]
    assert within == [True] * refined + [False] * (50 - refined)


@torch.no_grad()
def test_the_attribute_setting_agrees_to_the_end():
    """Ten steps, of which 5/50 are refined, in float64: the text after refinement, and the image's latent.

    Sampling with these random weights magnifies roundings by 10^8, so the last latent agrees to a few per cent.
    """
    recorded, unet, settings = recording("attribute_to_the_end"), golden(torch.float64), preset("reference-attributes")
    euler = EulerDiscreteScheduler.from_pretrained(GOLDEN / "scheduler")
    euler.set_timesteps(10)
    sigmas = euler.sigmas.tolist()
    given = {k: v.double() for k, v in recorded.tensors.items() if "_embeds" in k or "pooled" in k}
    merged, positions = merge(given["prompt_embeds"][0], recorded.composites(settings), settings.members)
    tokens = Tokens(merged[None], (0, 0), positions, given["phrase_embeds"], (recorded.text,))
    pooled = torch.cat([given["negative_pooled"], given["pooled"]])
    added = {"text_embeds": pooled, "time_ids": recorded.tensors["time_ids"].expand(2, -1)}
    noise = torch.randn((1, 4, 32, 32), generator=torch.Generator().manual_seed(43)).double()
    latents, path = noise * float(euler.init_noise_sigma), []
    for index, timestep in enumerate(euler.timesteps):
        scaled = latents / (sigmas[index] ** 2 + 1) ** 0.5
        predict = recorded.predictor(unet, timestep)
        step = Step(unet, scaled, predict, index, 10, sigmas[index], given["negative_embeds"], guidance=7.5)
        if in_window(step, settings):
            tokens, scaled, _ = refine(step, tokens, settings)
        text = torch.cat([given["negative_embeds"], tokens.context])
        null, cond = unet(torch.cat([scaled] * 2), timestep, text, added_cond_kwargs=added).sample.chunk(2)
        latents = latents + (sigmas[index + 1] - sigmas[index]) * (null + 7.5 * (cond - null))
        path.append(latents)
    assert (tokens.context[0] - recorded.tensors["text"]).abs().max() < 1e-7
    first, last = recorded.tensors["first_latent"], recorded.tensors["final_latent"]
    assert (path[0] - first).abs().max() < 1e-5 * first.std()
    assert (path[-1] - last).norm() < 0.05 * last.norm()


@torch.no_grad()
def test_plain_sampling_agrees_to_the_end(golden_unet, euler):
    tensors = recording("plain").tensors
    latents = torch.randn((1, 4, 128, 128), generator=torch.Generator().manual_seed(43)) * euler.init_noise_sigma
    text = torch.cat([tensors["negative_embeds"], tensors["prompt_embeds"]])
    pooled = torch.cat([tensors["negative_pooled"], tensors["pooled"]])
    added = {"text_embeds": pooled, "time_ids": recording("attribute").tensors["time_ids"].expand(2, -1)}
    for timestep in euler.timesteps:
        given = euler.scale_model_input(torch.cat([latents] * 2), timestep)
        null, cond = golden_unet(given, timestep, text, added_cond_kwargs=added).sample.chunk(2)
        latents = euler.step(null + 7.5 * (cond - null), timestep, latents).prev_sample
    assert (latents - tensors["final_latent"]).abs().max() < 1e-3 * tensors["final_latent"].std()
