"""Sampling from conditionings instead of prompts, many different ones at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tome_ext.method.attention import AttentionRecorder
from tome_ext.method.layers import select_layers
from tome_ext.method.losses import entropy, paper_maps
from tome_ext.research.benchmark import Sampling
from tome_ext.research.miniature.training.autoencoder import as_pixels
from tome_ext.research.miniature.world.drawing import Array


@dataclass(frozen=True)
class Contrast:
    """A misbound text [T, D] and [P] that the noise is pushed away from until then: ε + weight · (ε(c) − ε(c′))."""

    context: Tensor
    pooled: Tensor
    weight: float
    until: float


@dataclass(frozen=True)
class Plan:
    """One image's text: context [T, D] and pooled vector [P], and what replaces the context from a share of the run.

    ``watched``: tokens whose first maps rank the noise where several are drawn. ``phrases``: all tokens of each
    attribute and noun, the noun's last.
    """

    context: Tensor
    pooled: Tensor
    later: tuple[tuple[float, Tensor], ...] = ()
    contrast: Contrast | None = None
    watched: tuple[int, ...] = field(default=())
    phrases: tuple[tuple[int, ...], ...] = ()

    def at(self, progress: float) -> Tensor:
        """The context at a share of the run."""
        chosen = self.context
        for start, context in self.later:
            if progress >= start - 1e-9:
                chosen = context
        return chosen


def noise(pipe: Any, seed: int) -> Tensor:
    """The first noise [1, 4, h, w] of a seed, the same as the pipeline's."""
    height, width = _side(pipe)
    return torch.randn(1, 4, height, width, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def draw(pipe: Any, plans: Sequence[Plan], latents: Sequence[Tensor], sampling: Sampling) -> list[Array]:
    """One picture [h, w, 3] for each plan and first noise; those of equal shape go through the UNet together."""
    groups: dict[Any, list[int]] = {}
    for number, plan in enumerate(plans):
        contrast = plan.contrast
        kind = (len(plan.context), contrast and (contrast.weight, contrast.until))
        groups.setdefault(kind, []).append(number)
    found: dict[int, Array] = {}
    for members in groups.values():
        for start in range(0, len(members), sampling.batch):
            part = members[start : start + sampling.batch]
            made = _denoise(pipe, [plans[n] for n in part], torch.cat([latents[n] for n in part]), sampling)
            pixels = as_pixels(pipe.vae.decode(made / pipe.vae.config.scaling_factor).sample)
            found |= dict(zip(part, pixels, strict=True))
    return [found[number] for number in range(len(plans))]


def _denoise(pipe: Any, plans: Sequence[Plan], latents: Tensor, sampling: Sampling) -> Tensor:
    scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
    scheduler.set_timesteps(sampling.steps)
    latents = latents * scheduler.init_noise_sigma
    pooled = torch.stack([plan.pooled for plan in plans])
    contrasts = [plan.contrast for plan in plans if plan.contrast is not None]
    for index, timestep in enumerate(scheduler.timesteps):
        progress = index / sampling.steps
        context = torch.stack([plan.at(progress) for plan in plans])
        contexts, vectors = [torch.zeros_like(context), context], [torch.zeros_like(pooled), pooled]
        active = bool(contrasts) and progress < contrasts[0].until - 1e-9
        if active:
            contexts.append(torch.stack([contrast.context for contrast in contrasts]))
            vectors.append(torch.stack([contrast.pooled for contrast in contrasts]))
        scaled = scheduler.scale_model_input(latents, timestep)
        parts = predict(pipe, scaled, timestep, contexts, vectors)
        made = parts[0] + sampling.guidance * (parts[1] - parts[0])
        if active:
            made = made + contrasts[0].weight * (parts[1] - parts[2])
        latents = scheduler.step(made, timestep, latents).prev_sample
    return latents


def predict(
    pipe: Any, latents: Tensor, timestep: Tensor, contexts: Sequence[Tensor], pooled: Sequence[Tensor]
) -> Sequence[Tensor]:
    """The noise in ``latents`` [B, 4, h, w] for each of some texts [B, T, D] and [B, P]."""
    count = len(contexts)
    rows = count * len(latents)
    added = {"text_embeds": torch.cat(list(pooled)), "time_ids": _sizes(pipe).expand(rows, -1)}
    tiled = torch.cat([latents] * count)
    made: Tensor = pipe.unet(tiled, timestep, torch.cat(list(contexts)), added_cond_kwargs=added)[0]
    return made.chunk(count)


@torch.no_grad()
def first_maps(pipe: Any, plans: Sequence[Plan], latents: Tensor, sampling: Sampling) -> Tensor:
    """Every token's cross-attention [B, pixels, T] in the first step, from one pass that ends after the last layer."""
    scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
    scheduler.set_timesteps(sampling.steps)
    timestep = scheduler.timesteps[0]
    scaled = scheduler.scale_model_input(latents * scheduler.init_noise_sigma, timestep)
    context = torch.stack([plan.context for plan in plans])
    pooled = torch.stack([plan.pooled for plan in plans])
    with AttentionRecorder(select_layers(pipe.unet, "reference"), stop=True) as recorder:
        recorder.run(lambda: predict(pipe, scaled, timestep, [context], [pooled]))
    return recorder.probabilities()


def ranked_noise(pipe: Any, plan: Plan, seed: int, candidates: int, sampling: Sampling) -> Tensor:
    """Of ``candidates`` first noises, the seed's own among them, the one with the least entropy of the watched maps."""
    drawn = torch.cat([noise(pipe, seed + 1_000_003 * number) for number in range(candidates)])
    maps = first_maps(pipe, [plan] * candidates, drawn, sampling)
    watched = maps[:, :, list(plan.watched)].transpose(1, 2)
    scores = entropy(paper_maps(watched.flatten(0, 1))).view(candidates, -1).sum(1)
    return drawn[int(scores.argmin())][None]


def confuses(pipe: Any, plans: Sequence[Plan], latents: Tensor, sampling: Sampling) -> list[bool]:
    """Whether the first maps of images show an attribute nearer another noun than its own.

    Nearness is the cosine of two tokens' maps [pixels], each as a share of its pixels' attention.
    """
    found = []
    for plan, each in zip(plans, first_maps(pipe, plans, latents, sampling), strict=True):
        maps = each.transpose(0, 1)
        maps = torch.nn.functional.normalize(maps - maps.mean(1, keepdim=True), dim=1)
        nouns = maps[[places[-1] for places in plan.phrases]]
        near = torch.stack([(maps[list(places[:-1])] @ nouns.T).mean(0) for places in plan.phrases])
        found.append(bool((near.argmax(1) != torch.arange(len(near))).any()))
    return found


def _sizes(pipe: Any) -> Tensor:
    height, width = (float(side * pipe.vae_scale_factor) for side in _side(pipe))
    return torch.tensor([[height, width, 0.0, 0.0, height, width]])


def _side(pipe: Any) -> tuple[int, int]:
    side = pipe.unet.config.sample_size
    return (side, side) if isinstance(side, int) else (int(side[0]), int(side[1]))
