"""The text encoders' training: contrastive, against an image encoder, on captions that tell nothing of who is what.

In a world this small plain contrastive training learns bindings without being asked. CLIP hardly does; what makes
these encoders alike is that the colours of half of the captions are exchanged, and that no picture of the same
shapes and colours ever counts as a wrong one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tome_ext.research.miniature import model
from tome_ext.research.miniature.training.autoencoder import as_input
from tome_ext.research.miniature.training.text import compact, padded, tokenize, used_ids
from tome_ext.research.miniature.world.captions import BAG, caption
from tome_ext.research.miniature.world.drawing import render_batch
from tome_ext.research.miniature.world.things import Picture, random_picture
from tome_ext.research.training import checkpoints
from tome_ext.research.training.text import END

_SAVE_EVERY = 20
_POOL = 6000


@dataclass(frozen=True)
class ContrastivePlan:
    """What to train, and for how long."""

    seed: int = 0
    steps: int = 260
    batch: int = 128
    rate: float = 2e-3


class Vision(nn.Module):
    """A small image encoder: only there to teach, not part of the model."""

    def __init__(self) -> None:
        super().__init__()

        def block(inside: int, outside: int, stride: int) -> nn.Module:
            return nn.Sequential(nn.Conv2d(inside, outside, 3, stride, 1), nn.GroupNorm(8, outside), nn.GELU())

        self.net = nn.Sequential(block(3, 32, 2), block(32, 64, 2), block(64, 96, 1), block(96, 128, 2))
        self.heads = nn.ModuleList(nn.Linear(256, width) for width in model.TEXT_WIDTHS)

    def forward(self, images: Tensor) -> list[Tensor]:
        """A unit vector [N, w] for each text encoder."""
        found = self.net(images)
        found = torch.cat([found.mean((2, 3)), found.amax((2, 3))], 1)
        return [functional.normalize(head(found), dim=1) for head in self.heads]


class Contrast(nn.Module):
    """Both text encoders, with the captions' tokens only, and the image encoder."""

    def __init__(self) -> None:
        super().__init__()
        places = compact(torch.tensor([END, 0])).tolist()
        self.first, self.second = model.text_encoders(len(used_ids()), *places)
        for encoder in (self.first, self.second):
            encoder.set_attn_implementation("eager")
        width = model.TEXT_WIDTHS[0]
        self.projection = nn.Linear(width, width, bias=False)  # dropped afterwards: SDXL's first encoder has none
        self.vision = Vision()
        self.temperature = nn.Parameter(torch.tensor([2.0, 2.0]))

    def text(self, first: Tensor, second: Tensor, ends: Tensor) -> list[Tensor]:
        """A unit vector [N, w] of each encoder for captions given as ids."""
        rows = torch.arange(len(ends), device=first.device)
        one = self.projection(self.first(compact(first.cpu()).to(first.device)).last_hidden_state[rows, ends])
        two = self.second(compact(second.cpu()).to(first.device)).text_embeds
        return [functional.normalize(vectors, dim=1) for vectors in (one, two)]


def bag(picture: Picture) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a bag of words knows of a picture: its shapes and its colours."""
    shapes = tuple(sorted(thing.shape for thing in picture.things))
    return shapes, tuple(sorted(thing.colour for thing in picture.things))


def loss_of(images: Sequence[Tensor], texts: Sequence[Tensor], temperature: Tensor, bags: Sequence[Any]) -> Tensor:
    """InfoNCE in both directions, added over the encoders; pictures of the same bag are nobody's wrong answers."""
    numbers = {one: number for number, one in enumerate(dict.fromkeys(bags))}
    owner = torch.tensor([numbers[one] for one in bags], device=temperature.device)
    same = owner[:, None] == owner[None]
    same.fill_diagonal_(False)
    target = torch.arange(len(bags), device=temperature.device)
    total = temperature.new_zeros(())
    for number, (image, text) in enumerate(zip(images, texts, strict=True)):
        logits = (temperature[number].exp().clamp(max=100) * image @ text.T).masked_fill(same, -1e4)
        total = total + (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2
    return total


def train_encoders(folder: Path, plan: ContrastivePlan, device: torch.device) -> tuple[Any, Any]:
    """Train, or go on from the checkpoint in ``folder``; returns both encoders, with CLIP's whole vocabulary."""
    torch.manual_seed(plan.seed)
    contrast = Contrast().to(device)
    optimizer = torch.optim.AdamW(contrast.parameters(), plan.rate, betas=(0.9, 0.98), weight_decay=0.0)
    path = folder / "encoders.safetensors"
    found = checkpoints.load(path)
    checkpoints.same_plan(path, found, plan)
    if found is not None:
        contrast.load_state_dict(found.part("model"))
        checkpoints.restore_optimizer(optimizer, found.part("optimizer"))
    _loop(contrast, optimizer, plan, device, found.step if found else 0, path)
    return whole(contrast)


def _loop(
    contrast: Contrast,
    optimizer: torch.optim.Optimizer,
    plan: ContrastivePlan,
    device: torch.device,
    first: int,
    path: Path,
) -> None:
    if first >= plan.steps:
        return
    rng = np.random.default_rng((plan.seed, 21))
    scenes = [random_picture(rng) for _ in range(_POOL)]
    pool = as_input(render_batch(scenes, rng))
    started = time.monotonic()
    for step in range(first, plan.steps):
        rng = np.random.default_rng((plan.seed, 22, step))
        chosen = rng.integers(0, len(scenes), plan.batch)
        rows = [tokenize(caption(scenes[index].things, rng, BAG)) for index in chosen]
        ids = [part.to(device) for part in padded(rows, max(map(len, rows)))]
        for group in optimizer.param_groups:
            falling = min(1.0, 2 * (1 - step / plan.steps) + 0.02)
            group["lr"] = plan.rate * min(1.0, (step + 1) / 40) * falling
        images = contrast.vision(pool[torch.from_numpy(chosen)].to(device))
        bags = [bag(scenes[index]) for index in chosen]
        loss = loss_of(images, contrast.text(*ids), contrast.temperature, bags)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(contrast.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % _SAVE_EVERY == 0 or step + 1 == plan.steps:
            state = checkpoints.optimizer_tensors(optimizer)
            parts = {"model": contrast.state_dict(), "optimizer": state}
            checkpoints.save(path, step + 1, parts, {"plan": asdict(plan)})
            speed = plan.batch * (step + 1 - first) / (time.monotonic() - started)
            told = f"loss {float(loss.detach()) / 2:.3f}, {speed:.0f} captions/s"
            print(f"encoders {step + 1}/{plan.steps}: {told}", flush=True)


@torch.no_grad()
def whole(contrast: Contrast) -> tuple[Any, Any]:
    """The encoders with CLIP's whole vocabulary, frozen; tokens that no caption holds share one row, the mean."""
    made = model.text_encoders()
    for own, encoder in zip((contrast.first, contrast.second), made, strict=True):
        state = {name: value.cpu() for name, value in own.state_dict().items()}
        name = next(name for name in state if name.endswith("token_embedding.weight"))
        table = state[name].mean(0, keepdim=True).repeat(model.VOCABULARY, 1)
        table[list(used_ids())] = state[name]
        encoder.load_state_dict({**state, name: table})
        encoder.eval().requires_grad_(False)
    return made


@torch.no_grad()
def telling(contrast: Contrast, count: int = 200, seed: int = 99) -> dict[str, float]:
    """How well each encoder finds a picture's caption among ``count``, and tells it from one with exchanged colours.

    The second is 0.5 for a bag of words.
    """
    rng = np.random.default_rng(seed)
    scenes: dict[Any, Picture] = {}
    while len(scenes) < count:
        one = random_picture(rng, count=2)
        if one.things[0].colour != one.things[1].colour:
            scenes.setdefault(bag(one), one)
    device = contrast.temperature.device

    def texts(exchanged: bool) -> list[Tensor]:
        rows = []
        for scene in scenes.values():
            colours = [thing.colour for thing in scene.things]
            told = zip(reversed(colours) if exchanged else colours, scene.things, strict=True)
            (c, s), (d, t) = ((colour, thing.shape) for colour, thing in told)
            rows.append(tokenize(f"a {c} {s} and a {d} {t}".split()))
        return contrast.text(*(part.to(device) for part in padded(rows, max(map(len, rows)))))

    images = contrast.vision(as_input(render_batch(list(scenes.values()))).to(device))
    found = {}
    for number, (image, right, wrong) in enumerate(zip(images, texts(False), texts(True), strict=True), 1):
        best = (image @ right.T).argmax(1).cpu() == torch.arange(count)
        own = (image * right).sum(1) > (image * wrong).sum(1)
        found[f"encoder {number} finds"] = float(best.float().mean())
        found[f"encoder {number} tells exchanged"] = float(own.float().mean())
        found[f"encoder {number} likeness of exchanged"] = float((right * wrong).sum(1).mean())
    return found
