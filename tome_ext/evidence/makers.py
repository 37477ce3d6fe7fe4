"""What makes the images: a diffusers pipeline, or a WebUI through its API."""

from __future__ import annotations

import base64
import io
import json
import urllib.request
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from PIL import Image

from tome_ext.evidence.arms import Arm, told
from tome_ext.evidence.benchmark import Maker, Sampling
from tome_ext.evidence.prompts import Prompt
from tome_ext.hosts.diffusers import attach

_TITLE = "ToMe Semantic Binding"


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
    with nullcontext() if arm.settings is None else attach(pipe, told(arm, prompt), texts):
        images: list[Image.Image] = pipe(
            **words,
            num_inference_steps=sampling.steps,
            guidance_scale=sampling.guidance,
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            **size,
        ).images
    return images


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
        return [_from_webui(url, request_of(arm, prompt, seed, sampling), seconds) for seed in seeds]

    return make


def request_of(arm: Arm, prompt: Prompt, seed: int, sampling: Sampling) -> dict[str, Any]:
    """What the WebUI's API is asked for one image."""
    if arm.context is not None:
        raise ValueError(f"the arm {arm.name!r} needs a diffusers pipeline; a WebUI takes prompts only")
    size = sampling.size or 1024
    request: dict[str, Any] = {"prompt": prompt.text, "seed": seed, "steps": sampling.steps, "width": size}
    request |= {"height": size, "cfg_scale": sampling.guidance, "sampler_name": "Euler", "save_images": False}
    args: list[Any] = [False]
    if arm.settings is not None:
        changes = told(arm, prompt).changes()
        args = [True, changes]
    return {**request, "alwayson_scripts": {_TITLE: {"args": args}}}


def _from_webui(url: str, body: dict[str, Any], seconds: float) -> Image.Image:
    address = f"{url.rstrip('/')}/sdapi/v1/txt2img"
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=seconds) as reply:
        answer = json.loads(reply.read())
    if "ToMe failure" in answer.get("info", ""):
        raise RuntimeError(f"the WebUI made an image without ToMe: {answer['info']}")
    return Image.open(io.BytesIO(base64.b64decode(answer["images"][0].split(",", 1)[-1])))
