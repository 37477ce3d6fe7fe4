"""In a running ComfyUI, through its API: every feature of the host with ToMe, and nothing left behind."""

from __future__ import annotations

import copy
import os
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import EulerDiscreteScheduler

from tests.hosts.comfyui.workflows import OTHER, SIZE, STEPS, TEXT, losses, node, plain, refined, steps
from tome_ext.settings import PRESETS, declaration, declarations, preset

pytestmark = pytest.mark.comfyui

Graph = dict[str, Any]


@dataclass(frozen=True)
class Feature:
    """Something of the host that a workflow uses. ``steps``: how often a token of it is refined; ``note``: and why not.

    ``change``: from a plain or a refined workflow to one with it.
    """

    name: str
    change: Callable[[Graph], None]
    steps: int
    note: str = ""


def _area(graph: Graph) -> None:
    """Two prompts, each with an area."""
    graph["second"] = copy.deepcopy(graph["positive"])
    graph["second"]["inputs"]["text"] = OTHER
    areas = {"positive": (0, 0), "second": (SIZE // 2, 0)}
    for name, (x, y) in areas.items():
        graph[f"{name} area"] = node(
            "ConditioningSetArea", conditioning=[name, 0], width=SIZE // 2, height=SIZE, x=x, y=y, strength=1.0
        )
    graph["both"] = node("ConditioningCombine", conditioning_1=["positive area", 0], conditioning_2=["second area", 0])
    graph["sample"]["inputs"]["positive"] = ["both", 0]


def _mask(graph: Graph) -> None:
    graph["mask"] = node("SolidMask", value=0.7, width=SIZE, height=SIZE)
    graph["masked"] = node(
        "ConditioningSetMask", conditioning=["positive", 0], mask=["mask", 0], strength=1.0, set_cond_area="default"
    )
    graph["sample"]["inputs"]["positive"] = ["masked", 0]


def _on_positive(kind: str, **inputs: Any) -> Callable[[Graph], None]:
    def change(graph: Graph) -> None:
        graph["changed"] = node(kind, conditioning=["positive", 0], **inputs)
        graph["sample"]["inputs"]["positive"] = ["changed", 0]

    return change


def _with_second(kind: str, first: str, second: str, **inputs: Any) -> Callable[[Graph], None]:
    """The positive conditioning with another one of ToMe."""

    def change(graph: Graph) -> None:
        graph["second"] = copy.deepcopy(graph["positive"])
        graph["second"]["inputs"]["text"] = OTHER
        graph["changed"] = node(kind, **{first: ["positive", 0], second: ["second", 0]}, **inputs)
        graph["sample"]["inputs"]["positive"] = ["changed", 0]

    return change


def _on_model(kind: str, **inputs: Any) -> Callable[[Graph], None]:
    """A patch of the model, before ToMe Refine."""

    def change(graph: Graph) -> None:
        graph["patched"] = node(kind, model=["load", 0], **inputs)
        user = graph.get("refine", graph["sample"])
        user["inputs"]["model"] = ["patched", 0]

    return change


def _sampler(**inputs: Any) -> Callable[[Graph], None]:
    return lambda graph: graph["sample"]["inputs"].update(inputs)


def _batch(graph: Graph) -> None:
    graph["latent"]["inputs"]["batch_size"] = 2


def _control(graph: Graph) -> None:
    graph["net"] = node("Probe_ControlNet")
    graph["hint"] = node("EmptyImage", width=SIZE, height=SIZE, batch_size=1, color=0x808080)
    graph["control"] = node(
        "ControlNetApplyAdvanced",
        positive=["positive", 0],
        negative=["negative", 0],
        control_net=["net", 0],
        image=["hint", 0],
        strength=0.5,
        start_percent=0.0,
        end_percent=1.0,
    )
    graph["sample"]["inputs"] |= {"positive": ["control", 0], "negative": ["control", 1]}


def _lora(graph: Graph) -> None:
    graph["lora"] = node(
        "LoraLoader",
        model=["load", 0],
        clip=["load", 1],
        lora_name="small.safetensors",
        strength_model=1.0,
        strength_clip=1.0,
    )
    graph["positive"]["inputs"]["clip"] = graph["negative"]["inputs"]["clip"] = ["lora", 1]
    graph.get("refine", graph["sample"])["inputs"]["model"] = ["lora", 0]


def _hooks(scheduled: bool) -> Callable[[Graph], None]:
    """A LoRA as hooks, on half of the steps where it is scheduled."""

    def change(graph: Graph) -> None:
        graph["hook"] = node("CreateHookLora", lora_name="small.safetensors", strength_model=1.0, strength_clip=1.0)
        hooks = ["hook", 0]
        if scheduled:
            graph["frames"] = node("CreateHookKeyframe", strength_mult=0.0, start_percent=0.5)
            graph["scheduled"] = node("SetHookKeyframes", hooks=hooks, hook_kf=["frames", 0])
            hooks = ["scheduled", 0]
        graph["clip"] = node(
            "SetClipHooks", clip=["load", 1], hooks=hooks, apply_to_conds=True, schedule_clip=scheduled
        )
        graph["positive"]["inputs"]["clip"] = ["clip", 0]

    return change


def _halves(graph: Graph) -> None:
    """KSamplerAdvanced, twice, of which each has a step to refine."""
    own = dict(graph["sample"]["inputs"])
    common = {key: own[key] for key in ("model", "positive", "negative", "steps", "cfg", "sampler_name", "scheduler")}
    half = 1
    graph["half"] = node(
        "KSamplerAdvanced",
        **common,
        latent_image=["latent", 0],
        noise_seed=own["seed"],
        add_noise="enable",
        start_at_step=0,
        end_at_step=half,
        return_with_leftover_noise="enable",
    )
    graph["sample"] = node(
        "KSamplerAdvanced",
        **common,
        latent_image=["half", 0],
        noise_seed=own["seed"],
        add_noise="disable",
        start_at_step=half,
        end_at_step=1000,
        return_with_leftover_noise="disable",
    )


def _custom(graph: Graph) -> None:
    own = graph["sample"]["inputs"]
    graph["noise"] = node("RandomNoise", noise_seed=own["seed"])
    graph["guider"] = node(
        "CFGGuider", model=own["model"], positive=own["positive"], negative=own["negative"], cfg=own["cfg"]
    )
    graph["algorithm"] = node("KSamplerSelect", sampler_name="euler")
    graph["sigmas"] = node("BasicScheduler", model=own["model"], scheduler="sgm_uniform", steps=STEPS, denoise=1.0)
    graph["sample"] = node(
        "SamplerCustomAdvanced",
        noise=["noise", 0],
        guider=["guider", 0],
        sampler=["algorithm", 0],
        sigmas=["sigmas", 0],
        latent_image=["latent", 0],
    )


def _guider(kind: str, **inputs: Any) -> Callable[[Graph], None]:
    def change(graph: Graph) -> None:
        _custom(graph)
        own = graph["guider"]["inputs"]
        taken = {"model": own["model"], **inputs}
        if kind == "DualCFGGuider":
            taken |= {"cond1": own["positive"], "cond2": own["negative"], "negative": own["negative"]}
        else:
            taken |= {"positive": own["positive"], "negative": own["negative"]}
        if kind == "PerpNegGuider":
            taken["empty_conditioning"] = own["negative"]
        graph["guider"] = node(kind, **taken)

    return change


def _inpaint(graph: Graph) -> None:
    graph["picture"] = node("EmptyImage", width=SIZE, height=SIZE, batch_size=1, color=0x304050)
    graph["mask"] = node("SolidMask", value=1.0, width=SIZE, height=SIZE)
    graph["encode"] = node(
        "VAEEncodeForInpaint", pixels=["picture", 0], vae=["load", 2], mask=["mask", 0], grow_mask_by=0
    )
    graph["sample"]["inputs"]["latent_image"] = ["encode", 0]


def _image(denoise: float) -> Callable[[Graph], None]:
    def change(graph: Graph) -> None:
        graph["picture"] = node("EmptyImage", width=SIZE, height=SIZE, batch_size=1, color=0x304050)
        graph["encode"] = node("VAEEncode", pixels=["picture", 0], vae=["load", 2])
        graph["sample"]["inputs"] |= {"latent_image": ["encode", 0], "denoise": denoise}

    return change


def _hires(graph: Graph) -> None:
    """A second sampler at twice the size, with half of the noise."""
    own = dict(graph["sample"]["inputs"])
    graph["first"] = node("KSampler", **own)
    graph["larger"] = node("LatentUpscaleBy", samples=["first", 0], upscale_method="nearest-exact", scale_by=1.5)
    graph["sample"] = node("KSampler", **{**own, "latent_image": ["larger", 0], "denoise": 0.5})


def _negative(graph: Graph) -> None:
    """ToMe on the negative prompt as well."""
    graph["negative"] = copy.deepcopy(graph["positive"])
    graph["negative"]["inputs"]["text"] = OTHER


def _long(graph: Graph) -> None:
    graph["positive"]["inputs"]["text"] = f"{'tree, ' * 90}{TEXT}"


# Steps 1 and 2 of 6 lie in the first fifth.
FEATURES = [
    Feature("KSampler", lambda graph: None, 2),
    Feature("areas (Combine)", _area, 4),
    Feature("a mask", _mask, 2),
    Feature("a range of steps, from the start", _on_positive("ConditioningSetTimestepRange", start=0.0, end=0.1), 1),
    Feature("a range of steps, after the window", _on_positive("ConditioningSetTimestepRange", start=0.5, end=1.0), 0),
    Feature("Combine", _with_second("ConditioningCombine", "conditioning_1", "conditioning_2"), 4),
    Feature("Concat", _with_second("ConditioningConcat", "conditioning_to", "conditioning_from"), 2),
    Feature(
        "Average",
        _with_second("ConditioningAverage", "conditioning_to", "conditioning_from", conditioning_to_strength=0.5),
        0,
        "averaged or zeroed",
    ),
    Feature("ZeroOut", _on_positive("ConditioningZeroOut"), 0, "averaged or zeroed"),
    Feature("ControlNet", _control, 2),
    Feature("LoRA", _lora, 2),
    Feature("LoRA as hooks", _hooks(False), 2),
    Feature("LoRA as hooks, scheduled", _hooks(True), 2),
    Feature("FreeU", _on_model("FreeU_V2", b1=1.3, b2=1.4, s1=0.9, s2=0.2), 2),
    Feature("PAG", _on_model("PerturbedAttentionGuidance", scale=3.0), 2),
    Feature("SAG", _on_model("SelfAttentionGuidance", scale=0.5, blur_sigma=2.0), 2),
    Feature("RescaleCFG", _on_model("RescaleCFG", multiplier=0.7), 2),
    Feature("HyperTile", _on_model("HyperTile", tile_size=64, swap_size=2, max_depth=0, scale_depth=False), 2),
    Feature("ToMe for speed (TomePatchModel)", _on_model("TomePatchModel", ratio=0.3), 2),
    Feature("heun", _sampler(sampler_name="heun"), 3),
    Feature("dpmpp_2m_sde, karras", _sampler(sampler_name="dpmpp_2m_sde", scheduler="karras"), 2),
    Feature("dpm_2_ancestral", _sampler(sampler_name="dpm_2_ancestral"), 3),
    Feature("uni_pc", _sampler(sampler_name="uni_pc"), 2),
    Feature("lcm", _sampler(sampler_name="lcm"), 2),
    Feature("CFG 1", _sampler(cfg=1.0), 2),
    Feature("SamplerCustomAdvanced", _custom, 2),
    Feature("DualCFGGuider", _guider("DualCFGGuider", cfg_conds=4.0, cfg_cond2_negative=1.0, style="regular"), 2),
    Feature("PerpNegGuider", _guider("PerpNegGuider", cfg=4.0, neg_scale=1.0), 2),
    Feature("KSamplerAdvanced in two parts", _halves, 2),
    Feature("a batch of two", _batch, 4),
    Feature("inpainting (noise mask)", _inpaint, 2),
    Feature("image to image, denoise 0.85", _image(0.85), 1),
    Feature("image to image, denoise 0.5", _image(0.5), 0, "no step is refined"),
    Feature("a second sampler at 1.5 times the size", _hires, 0, "no step is refined"),
    Feature("v-prediction", _on_model("ModelSamplingDiscrete", sampling="v_prediction", zsnr=False), 2),
    Feature("v-prediction, zero SNR", _on_model("ModelSamplingDiscrete", sampling="v_prediction", zsnr=True), 2),
    Feature("ToMe on both prompts", _negative, 4),
    Feature("a prompt of three chunks", _long, 2),
]


@pytest.fixture(scope="module")
def table():
    """What was seen, as a table of docs/COMFYUI.md, where ``COMFYUI_TABLE`` names a file for it."""
    rows: list[str] = []
    yield rows
    if "COMFYUI_TABLE" in os.environ:
        Path(os.environ["COMFYUI_TABLE"]).write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_a_feature_of_the_host(comfy, table, feature):
    graph = refined(maps=True)
    feature.change(graph)
    made = comfy.run(graph)
    told = made.text("told")
    pictures = made.pictures()
    assert "failed" not in told
    assert steps(told) == feature.steps, told
    assert feature.note in told
    assert all(picture.std() > 0 for picture in pictures)
    table.append(f"| {feature.name} | {steps(told)} | {feature.note or 'as usual'} |")


def test_an_adaptive_sampler_comes_to_its_end(comfy):
    made = comfy.run(refined(sampler_name="dpm_adaptive"))
    assert 0 < steps(made.text("told")) <= 3 * STEPS
    assert all(picture.std() > 0 for picture in made.pictures())


def same(one: list[np.ndarray], two: list[np.ndarray]) -> bool:
    return len(one) == len(two) and all(np.array_equal(*pair) for pair in zip(one, two, strict=True))


def alike(one: list[np.ndarray], two: list[np.ndarray]) -> bool:
    """To one level of grey: newer versions round plain pictures of halves otherwise, too."""
    return all(np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(one, two, strict=True))


def test_two_halves_are_one_run(comfy):
    """The second one goes on with the tokens of the first, also where the first comes from the cache."""
    whole = comfy.run(refined(TEXT, seed=5))
    graph = refined(TEXT, seed=5)
    _halves(graph)
    halves = comfy.run(graph)
    assert alike(halves.pictures(), whole.pictures())
    graph["sample"]["inputs"]["cfg"] = 4.5
    changed = comfy.run(graph)
    assert not alike(changed.pictures(), whole.pictures())
    graph["sample"]["inputs"]["cfg"] = 4.0
    again = comfy.run(graph)
    assert alike(again.pictures(), whole.pictures())
    for name in ("entropy", "binding"):
        ours, theirs = (losses(made.text("told"), name) for made in (again, whole))
        assert len(ours) == 2
        assert np.allclose(ours, theirs, rtol=1e-4)


def test_an_image_of_a_batch_is_the_one_made_alone(comfy):
    told = comfy.run(refined(TEXT, batch=2)).text("told").split("image 2")
    assert steps(told[0]) == steps(told[1]) == 2
    alone = losses(comfy.run(refined(TEXT)).text("told"), "entropy")
    for ours, expected in zip(losses(told[0], "entropy"), alone, strict=True):
        assert ours == pytest.approx(expected, rel=1e-4)


def test_plain_pictures_are_untouched_by_success_failure_and_interrupt(comfy):
    before = comfy.run(plain(OTHER, seed=3)).pictures()

    def untouched() -> bool:
        # Another prompt in between empties the cache of the sampler's output.
        comfy.run(plain(TEXT, seed=4))
        return same(comfy.run(plain(OTHER, seed=3)).pictures(), before)

    assert not same(comfy.run(refined(OTHER, seed=3)).pictures(), before)
    assert untouched()
    for what in ("sampling.refine", "sampling.inside", "sampling.differentiable", "bound.compose"):
        comfy.break_(f"tome_ext.hosts.comfyui.{what}")
        made = comfy.run(refined(OTHER, seed=30))
        comfy.break_("")
        assert made.status == "success", what
        assert "failed" in made.text("told") + made.text("positive"), what
        assert untouched(), what
    running = comfy.queue(refined(OTHER, seed=31, steps=60))
    deadline = time.monotonic() + 60
    while not comfy.ask("/queue")["queue_running"] and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    comfy.ask("/interrupt", {})
    ended = comfy.wait(running)
    assert ended.messages("execution_interrupted")
    assert untouched()
    assert comfy.run(refined(OTHER, seed=32)).status == "success"


def test_without_refinement_the_picture_has_what_was_merged(comfy):
    merged = plain(TEXT)
    merged["positive"] = node("ToMe_TextEncode", clip=["load", 1], text=TEXT, preset="fast")
    assert not same(comfy.run(merged).pictures(), comfy.run(plain(TEXT)).pictures())


def test_a_prompt_with_nothing_to_bind_is_the_plain_picture(comfy):
    made = comfy.run(refined("a circle", seed=7))
    assert same(made.pictures(), comfy.run(plain("a circle", seed=7)).pictures())
    assert steps(made.text("told")) == 0


def test_maps_change_nothing(comfy):
    assert same(comfy.run(refined(TEXT, maps=True, seed=8)).pictures(), comfy.run(refined(TEXT, seed=8)).pictures())


def test_the_same_prompt_again_costs_nothing(comfy):
    graph = refined(TEXT, seed=9)
    comfy.run(graph)
    again = comfy.run(graph)
    assert set(again.messages("execution_cached")[0]["nodes"]) == set(graph)
    graph["sample"]["inputs"]["seed"] = 10
    assert {"positive", "refine", "load"} <= set(comfy.run(graph).messages("execution_cached")[0]["nodes"])


def test_groups_that_cannot_be_read_are_refused_before_anything_runs(comfy):
    graph = refined(TEXT)
    graph["positive"]["inputs"]["groups"] = "circle: red:"
    with pytest.raises(AssertionError, match="groups"):
        comfy.queue(graph)


def checkpoint(comfy, kind, graph):
    """The workflow on a small random model that the host recognises as one of a ``kind``."""
    name = comfy.ask("/tome_test/checkpoint", {"kind": kind})["name"]
    graph["vae"] = graph["load"]
    graph["load"] = node("CheckpointLoaderSimple", ckpt_name=name)
    graph["decode"]["inputs"]["vae"] = ["vae", 2]
    return graph


@pytest.mark.parametrize("kind", ["sd15", "sd2"])
def test_stable_diffusion_1_and_2_are_merged_and_refined(comfy, table, kind):
    made = comfy.run(checkpoint(comfy, kind, refined(TEXT, maps=True)))
    told = made.text("told")
    assert "failed" not in told
    assert steps(told) == 2
    assert "circle: red" in made.text("positive")
    merged = checkpoint(comfy, kind, refined(TEXT))
    merged["sample"]["inputs"]["model"] = ["load", 0]
    without = checkpoint(comfy, kind, plain(TEXT))
    pictures = [made.pictures(), comfy.run(merged).pictures(), comfy.run(without).pictures()]
    assert not any(same(pictures[one], pictures[two]) for one, two in ((0, 1), (0, 2), (1, 2)))
    table.append(f"| {kind} | {steps(told)} | as usual |")


def test_stable_diffusion_3_goes_through_unchanged(comfy, table):
    graph = checkpoint(comfy, "sd3", refined(TEXT))
    without = checkpoint(comfy, "sd3", plain(TEXT))
    for one in (graph, without):
        one["latent"]["class_type"] = "EmptySD3LatentImage"
        one["decode"] = node("Probe_LatentPicture", samples=["sample", 0])
    made = comfy.run(graph)
    assert "not refined: SD3 has no UNet with cross-attention" in made.text("told")
    assert "Not merged: its text encoders (g, l, t5xxl) are not CLIP alone" in made.text("positive")
    assert same(made.pictures(), comfy.run(without).pictures())
    table.append("| sd3 | 0 | not refined |")


def test_flux_goes_through_unchanged(comfy, table):
    """With the texts of SD3's encoders, whose vectors are as wide."""
    name = comfy.ask("/tome_test/checkpoint", {"kind": "flux"})["name"]
    pictures = []
    for graph, takes in ((refined(TEXT), "refine"), (plain(TEXT), "sample")):
        checkpoint(comfy, "sd3", graph)["flux"] = node("CheckpointLoaderSimple", ckpt_name=name)
        graph[takes]["inputs"]["model"] = ["flux", 0]
        graph["latent"]["class_type"] = "EmptySD3LatentImage"
        graph["decode"] = node("Probe_LatentPicture", samples=["sample", 0])
        made = comfy.run(graph)
        pictures.append(made.pictures())
        if takes == "refine":
            assert "not refined: Flux has no UNet with cross-attention" in made.text("told")
    assert same(*pictures)
    table.append("| flux | 0 | not refined |")


@pytest.mark.parametrize("kind", ["Unpacks", "Rounds"])
def test_a_quantised_unet_is_refined_where_a_gradient_passes(comfy, kind):
    """Elsewhere it is merged alone, and one sentence says why."""
    graph = refined(TEXT, seed=11)
    graph["quantised"] = node("Probe_Quantised", model=["load", 0], weights=kind)
    graph["refine"]["inputs"]["model"] = ["quantised", 0]
    made = comfy.run(graph)
    told = made.text("told")
    graph["sample"]["inputs"]["model"] = ["quantised", 0]
    merged = comfy.run(graph)
    if kind == "Unpacks":
        assert steps(told) == 2
        assert "note" not in told
        assert not same(made.pictures(), merged.pictures())
        return
    assert told.count("note: ") == 1
    assert "note: tokens are merged, not refined: the weights are quantised (weight is int8), and no gradient" in told
    assert same(made.pictures(), merged.pictures())


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset(comfy, name):
    made = comfy.run(refined(TEXT, preset=name, seed=12, maps=True))
    assert made.status == "success"
    assert "failed" not in made.text("told")
    assert (steps(made.text("told")) > 0) is preset(name).refines


def test_settings_of_the_node_are_those_of_the_method(comfy):
    graph = refined(TEXT, seed=13)
    graph["settings"]["inputs"] |= {"iterations": 2, "layers": "middle"}
    first, second = losses(comfy.run(graph).text("told"), "entropy")
    assert len(first) == len(second) == 2
    told = comfy.run(graph).text("told")
    assert all(line.count(";") == 1 for line in told.splitlines() if " entropy " in line)


def test_a_hundred_prompts_leave_nothing(comfy):
    def make(seed: int) -> None:
        graph = refined(f"a red circle and a blue square, {seed}", seed=seed, maps=True, steps=2)
        graph["latent"]["inputs"] |= {"width": 64, "height": 64}
        assert comfy.run(graph).status == "success"

    for seed in range(100, 110):
        make(seed)
    before = comfy.ask("/tome_test/memory")
    for seed in range(110, 200):
        make(seed)
    after = comfy.ask("/tome_test/memory")
    assert after["tensors"] <= before["tensors"] + 20
    assert after["bytes"] <= before["bytes"] * 1.02


def test_the_first_steps_are_those_of_diffusers(comfy):
    """The same noise, schedule and settings: the losses agree to 1e-4 in every refined step."""
    import torch

    from tome_ext.embedded.shapes_file import shapes_pipeline
    from tome_ext.hosts.diffusers import attach

    count, size, seed = 10, 192, 21
    graph = refined(TEXT, seed=seed, steps=count, scheduler="normal")
    graph["latent"]["inputs"] |= {"width": size, "height": size}
    told = comfy.run(graph).text("told")
    pipe = shapes_pipeline()
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config, timestep_spacing="linspace")
    noise = torch.randn(1, 4, size // 8, size // 8, generator=torch.manual_seed(seed))
    pipe.scheduler.set_timesteps(count)
    # ComfyUI's sampler begins with noise of the length √(1 + σ²), the scheduler with that of σ.
    latents = noise * (1 + float(pipe.scheduler.sigmas[0]) ** 2) ** 0.5 / float(pipe.scheduler.init_noise_sigma)
    with attach(pipe, preset("balanced").replace(parser="builtin", every=1), TEXT) as tome:
        pipe(
            TEXT,
            negative_prompt="",
            num_inference_steps=count,
            guidance_scale=4.0,
            height=size,
            width=size,
            latents=latents,
        )
    expected = tome.report[0].losses
    assert len(expected) == steps(told) == 2
    for name in ("entropy", "binding"):
        for ours, theirs in zip(losses(told, name), expected, strict=True):
            assert ours == pytest.approx(theirs[name][0], rel=1e-4)


def test_the_nodes_are_what_the_page_is_told(comfy):
    """Stable ids, inputs in their order, and a help page that names them."""
    told = {name: info for name, info in comfy.ask("/object_info").items() if name.startswith("ToMe_")}
    assert {name: [*info["input"]["required"], *info["input"].get("optional", {})] for name, info in told.items()} == {
        "ToMe_TextEncode": ["clip", "text", "preset", "groups", "clean_prompt", "settings"],
        "ToMe_Refine": ["model", "attention_maps"],
        "ToMe_Settings": [
            "preset",
            *(one.name for one in declarations() if one.name not in ("groups", "clean_prompt")),
        ],
        "ToMe_AttentionMaps": ["report", "images"],
        "ToMe_LoadShapes": [],
    }
    for name, info in told.items():
        page = urllib.request.urlopen(f"{comfy.url}/extensions/sd-webui-tome/docs/{name}.md").read().decode()
        inputs = {**info["input"]["required"], **info["input"].get("optional", {})}
        for one, (_, options, *_) in inputs.items():
            assert options["tooltip"], one
            assert name == "ToMe_Settings" or f"`{one}`" in page, one
    iterations = told["ToMe_Settings"]["input"]["optional"]["iterations"][1]
    assert declaration("iterations").help in iterations["tooltip"]
    assert (iterations["min"], iterations["default"], iterations["max"]) == (-1, -1, 20)


def test_the_weights_of_hooks_are_those_that_refinement_sees(comfy):
    told = []
    for name, change in (("lora", _lora), ("hook", _hooks(False)), ("", lambda graph: None)):
        graph = refined(TEXT, seed=14)
        change(graph)
        if name:
            graph[name]["inputs"]["strength_clip"] = 0.0
        told.append(losses(comfy.run(graph).text("told"), "entropy")[0])
    loaded, hooked, without = told
    assert hooked == pytest.approx(loaded, rel=1e-4)
    assert hooked != pytest.approx(without, rel=1e-3)
