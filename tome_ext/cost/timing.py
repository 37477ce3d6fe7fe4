"""Wall time of the method, measured with random weights: what the counted FLOPs mean on a machine."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import Any

import torch
from torch import Tensor

from tome_ext.cost.count import GIB
from tome_ext.method import losses
from tome_ext.method.attention import AttentionRecorder
from tome_ext.method.backward.autograd import frozen
from tome_ext.method.layers import select_layers
from tome_ext.method.refine import refine
from tome_ext.method.state import Step, Tokens
from tome_ext.method.window import refined_calls
from tome_ext.settings import Settings, preset
from tome_ext.tokens.vocabulary import CHUNK

ARMS = ("plain", "fast", "balanced", "paper", "reference", "as published")


@dataclass(frozen=True)
class Timing:
    """One arm: the run's time in that of plain sampling (the median round's ``ratio``, the ``least`` and the ``most``).

    ``seconds``: the median time of a refined step (plain: of a sampling step; fast: of merging and ETS); ``peak``:
    of CUDA memory in GiB beside the weights, None on the CPU.
    """

    name: str
    ratio: float
    least: float
    most: float
    seconds: float
    peak: float | None


def small_unet(divisor: int = 8) -> Any:
    """SDXL's UNet with random weights and its channels divided; the depth and the layers are the same."""
    from diffusers import UNet2DConditionModel

    shape = _shape()
    shape["block_out_channels"] = [channels // divisor for channels in shape["block_out_channels"]]
    shape |= {"cross_attention_dim": 2048 // divisor, "norm_num_groups": max(32 // divisor, 1)}
    shape |= {"projection_class_embeddings_input_dim": 6 * 256 + 1280 // divisor}
    unet: Any = UNet2DConditionModel(**shape)
    return unet.eval().requires_grad_(False)


def full_unet(device: str) -> Any:
    """SDXL's whole UNet with random weights, in float16 on ``device``."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet: Any = UNet2DConditionModel(**_shape())
    unet = unet.half().to_empty(device=device).eval().requires_grad_(False)
    generator = torch.Generator(device).manual_seed(0)
    for name, parameter in unet.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(0, parameter[0].numel() ** -0.5, generator=generator)
        else:
            parameter.fill_(1.0 if name.endswith("weight") else 0.0)
    return unet


def _shape() -> dict[str, Any]:
    text = resources.files("tome_ext.embedded").joinpath("unet_sdxl.json").read_text(encoding="utf-8")
    shape: dict[str, Any] = json.loads(text)
    return shape


def measure(unet: Any, side: int, *, rounds: int = 5, steps: int = 30, echo: Callable[[str], None]) -> list[Timing]:
    """Time every arm of :data:`ARMS` on a latent of ``side`` x ``side`` with two objects, interleaved in rounds.

    A plain step (two rows) and one refined step of each arm are timed in each round, and a run of ``steps`` is
    made up of as many as it has. Early stop is off, so that every arm does all its work.
    """
    step, tokens = _job(unet, side)
    seconds: dict[str, list[float]] = {name: [] for name in ARMS}
    peaks: dict[str, float] = {}
    for number in range(rounds + 1):  # the first warms up
        for name in ARMS:
            taken, peak = _timed(partial(_work, name, step, tokens), step.latents.device)
            if number:
                seconds[name].append(taken)
                peaks[name] = max(peak or 0.0, peaks.get(name, 0.0))
        echo(f"round {number} of {rounds}" if number else "warmed up")
    on_gpu = step.latents.is_cuda
    return [_timing(name, seconds, steps, peaks[name] if on_gpu else None) for name in ARMS]


def _timing(name: str, seconds: dict[str, list[float]], steps: int, peak: float | None) -> Timing:
    settings = _settings(name)
    # Merging and end token substitution come once in a run.
    times = 1 if name == "fast" else refined_calls(steps, settings)
    pairs = zip(seconds[name], seconds["plain"], strict=True)  # of the same round, a moment apart
    ratios = [1 + times * own / (steps * plain) for own, plain in pairs]
    return Timing(name, statistics.median(ratios), min(ratios), max(ratios), statistics.median(seconds[name]), peak)


def _settings(name: str) -> Settings:
    # The published thresholds would end small maps at once; the form of the maps takes no time.
    base = {"plain": "fast", "as published": "reference"}.get(name, name)
    return preset(base).replace(entropy_form="paper")


def _work(name: str, step: Step, tokens: Tokens) -> None:
    settings = _settings(name)
    if name == "plain":
        with torch.no_grad():
            step.predict(step.latents.expand(2, -1, -1, -1), tokens.context.expand(2, -1, -1), [0, 0])
    elif name == "fast":
        _merge(tokens)
    elif name == "as published":
        as_published(step, tokens, settings)
    else:
        refine(step, tokens, settings)


def _merge(tokens: Tokens) -> Tensor:
    from tome_ext.method.merging import Composite, merge, substitute_end_tokens

    parts = [Composite(position, ((1.0, position), (1.0, position + 1))) for position in tokens.position]
    merged, _ = merge(tokens.context[0], parts)
    return substitute_end_tokens(merged, [20], tokens.phrase[0], [8])


def as_published(step: Step, tokens: Tokens, settings: Settings) -> None:
    """One refined step in the authors' order of passes (docs/METHOD.md, "Costs of the authors' code") by our functions.

    One object after the other, a backward pass each for the text and the latent, and no pass that ends early.
    """
    assert step.null is not None
    context, latents = tokens.context, step.latents
    with torch.enable_grad(), frozen(step.unet):
        for number, image in enumerate(tokens.image):
            with torch.no_grad():
                noise = step.predict(latents, tokens.phrase[number : number + 1], [image])
                step.predict(latents, step.null[image : image + 1], [image])
            token = tokens.composites[number].detach()
            for _ in range(settings.binding_iterations):
                token.requires_grad_()
                loss = losses.binding(step.predict(latents, token[None, None], [image]), noise).sum()
                token = (token - torch.autograd.grad(settings.binding_weight * loss, token)[0]).detach()
        layers = select_layers(step.unet, settings.layers)
        for _ in range(settings.iterations):
            context, latents = context.detach().requires_grad_(), latents.detach().requires_grad_()
            with AttentionRecorder(layers) as recorder:
                recorder.run(partial(step.predict, latents, context, [0]))
            maps = losses.paper_maps(recorder.probabilities()[0][:, list(tokens.position)].T)
            loss = losses.entropy(maps).sum()
            (text,) = torch.autograd.grad(loss, context, retain_graph=True)
            (latent,) = torch.autograd.grad(loss, latents)
            context, latents = context - 1e-3 * text, latents - 1e-3 * latent


def _timed(work: Callable[[], object], device: torch.device) -> tuple[float, float | None]:
    """Seconds that ``work`` takes and, on CUDA, the memory in GiB that it needs at its peak."""
    on_gpu = device.type == "cuda"
    before = 0
    if on_gpu:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    start = time.perf_counter()
    work()
    if on_gpu:
        torch.cuda.synchronize(device)
    taken = time.perf_counter() - start
    return taken, (torch.cuda.max_memory_allocated(device) - before) / GIB if on_gpu else None


def _job(unet: Any, side: int) -> tuple[Step, Tokens]:
    weight = next(unet.parameters())
    made = {"device": weight.device, "dtype": weight.dtype}
    width, pooled = unet.config.cross_attention_dim, unet.config.projection_class_embeddings_input_dim - 6 * 256
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(weight.device)

    added = {"text_embeds": random(1, pooled).to(**made), "time_ids": torch.full((1, 6), 1024.0).to(**made)}

    def predict(latents: Tensor, context: Tensor, images: Sequence[int]) -> Tensor:
        rows = {name: value.expand(len(latents), -1) for name, value in added.items()}
        found: Tensor = unet(latents, 900.0, context.to(weight.dtype), added_cond_kwargs=rows).sample
        return found

    step = Step(unet, random(1, 4, side, side).to(weight.dtype), predict, 0, 30, 10.0, random(1, CHUNK, width), 7.0)
    context, phrase = random(1, CHUNK, width), random(2, CHUNK, width)
    tokens = Tokens(context, (0, 0), (2, 6), phrase, (tuple(range(1, 12)),))
    return step, tokens
