"""What makes the images: a diffusers pipeline, or a WebUI through its API."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from PIL import Image

from tome_ext.hosts.common.http import public, request_json
from tome_ext.hosts.common.infotext import FAILURE, used
from tome_ext.hosts.diffusers import ImageReport, attach
from tome_ext.research.arms import Arm, settings_for
from tome_ext.research.benchmark import Maker, Sampling
from tome_ext.research.world.prompts import Prompt
from tome_ext.settings import changes_from_preset, short

_TITLE = "ToMe Semantic Binding"


class MethodError(RuntimeError):
    """An image was made without a part of the method, and is not its arm's."""


def diffusers_maker(pipe: Any) -> Maker:
    """Images from a pipeline."""
    return lambda arm, prompt, seeds, sampling: sample(pipe, arm, prompt, seeds, sampling)


def sample(pipe: Any, arm: Arm, prompt: Prompt, seeds: Sequence[int], sampling: Sampling) -> list[Image.Image]:
    """One image of ``prompt`` per seed. Noise is drawn on the CPU, so that a seed means the same on every device."""
    texts = [prompt.text] * len(seeds)
    words: dict[str, Any] = {"prompt": texts}
    if arm.context is not None:
        words = _own_context(pipe, arm, prompt, len(seeds))
    size = {"width": sampling.size, "height": sampling.size} if sampling.size else {}
    pipe.set_progress_bar_config(disable=True)
    with nullcontext() if arm.settings is None else attach(pipe, settings_for(arm, prompt), texts) as attached:
        images: list[Image.Image] = pipe(
            **words,
            num_inference_steps=sampling.steps,
            guidance_scale=sampling.guidance,
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            **size,
        ).images
    if attached is not None:
        check_reports(arm, prompt, attached.report)
    return images


def check_reports(arm: Arm, prompt: Prompt, reports: Sequence[ImageReport]) -> None:
    """MethodError where an image was made without a part of the method that its arm has."""
    assert arm.settings is not None
    for report in reports:
        missing = report.failure
        if prompt.groups and not report.bound:
            missing = missing or "; ".join(report.warnings)
        if report.bound and arm.settings.refines and not report.losses:
            missing = missing or "no step was refined: none lies in the window of the arm's settings"
        if missing:
            raise MethodError(f"an image of {prompt.text!r} is not one of the arm {arm.name!r}: {missing}")


def _own_context(pipe: Any, arm: Arm, prompt: Prompt, count: int) -> dict[str, Any]:
    assert arm.context is not None
    context, pooled = arm.context(pipe, prompt)
    embeds = context.expand(count, -1, -1)
    words: dict[str, Any] = {"prompt_embeds": embeds, "negative_prompt_embeds": torch.zeros_like(embeds)}
    if pooled is not None:
        vectors = pooled.expand(count, -1)
        words |= {"pooled_prompt_embeds": vectors, "negative_pooled_prompt_embeds": torch.zeros_like(vectors)}
    return words


def webui_maker(url: str, seconds: float = 3600) -> Maker:
    """Images from a WebUI with the extension, started with --api; ValueError for arms that need a pipeline."""

    def make(arm: Arm, prompt: Prompt, seeds: Sequence[int], sampling: Sampling) -> list[Image.Image]:
        requests = [request_of(arm, prompt, seed, sampling) for seed in seeds]
        return [_from_webui(url, request, seconds, arm, prompt) for request in requests]

    return make


def request_of(arm: Arm, prompt: Prompt, seed: int, sampling: Sampling) -> dict[str, Any]:
    """What the WebUI's API is asked for one image; ValueError without a size, as a WebUI does not know its model's."""
    if arm.context is not None:
        raise ValueError(f"the arm {arm.name!r} needs a diffusers pipeline; a WebUI takes prompts only")
    if not sampling.size:
        raise ValueError("size = 0: a WebUI has to be told the size of the images")
    size = {"width": sampling.size, "height": sampling.size}
    request: dict[str, Any] = {"prompt": prompt.text, "seed": seed, "steps": sampling.steps, **size}
    request |= {"cfg_scale": sampling.guidance, "sampler_name": "Euler", "save_images": False}
    args: list[Any] = [False]
    if arm.settings is not None:
        changes = changes_from_preset(settings_for(arm, prompt))
        args = [True, changes]
    return {**request, "alwayson_scripts": {_TITLE: {"args": args}}}


def _from_webui(url: str, body: dict[str, Any], seconds: float, arm: Arm, prompt: Prompt) -> Image.Image:
    answer = request_json(f"{url.rstrip('/')}/sdapi/v1/txt2img", body, seconds=seconds)
    try:
        entries = json.loads(answer["info"]).get("extra_generation_params", {})
        picture = base64.b64decode(answer["images"][0].split(",", 1)[-1])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise MethodError(f"{public(url)} gave no image of {prompt.text!r}: {short(answer)}") from error
    if arm.settings is not None:
        missing = entries.get(FAILURE) or ("" if used(entries) else "the WebUI did not use the extension")
        if missing:
            raise MethodError(f"the image of {prompt.text!r} is not one of the arm {arm.name!r}: {missing}")
    return Image.open(io.BytesIO(picture))
