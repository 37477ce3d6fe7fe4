"""Text encoders and UNet, trained together on encoded scenes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from tome_ext.embedded import shapes_model
from tome_ext.research.training import checkpoints, robustness
from tome_ext.research.training.latents import Shard, unpack
from tome_ext.research.training.text import padded, tokenize
from tome_ext.research.world.captions import random_caption

_STEPS = 1000


@dataclass(frozen=True)
class DiffusionPlan:
    """What to train, and for how long."""

    seed: int = 0
    steps: int = 20_000
    batch: int = 64
    rate: float = 6e-4
    decay: float = 0.9995
    unconditional: float = 0.1
    compile: bool = False
    workers: int = 0
    save_every: int = 250
    robustness: robustness.Robustness = field(default_factory=robustness.Robustness)


class TextToNoise(nn.Module):
    """The trained parts as one module, from token ids to the predicted noise."""

    def __init__(self) -> None:
        super().__init__()
        self.text_encoder, self.text_encoder_2 = shapes_model.text_encoders()
        self.unet = shapes_model.unet()
        # The fused attention's backward pass takes half of the time on CPUs, at this size; written out, it is quick.
        self.unet.set_attn_processor(AttnProcessor())
        for encoder in (self.text_encoder, self.text_encoder_2):
            encoder.set_attn_implementation("eager")

    def encode(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Conditioning [N, 77, D] and pooled vectors [N, P] as SDXL's pipeline makes them."""
        one = self.text_encoder(first, output_hidden_states=True).hidden_states[-2]
        two = self.text_encoder_2(second, output_hidden_states=True)
        return torch.cat([one, two.hidden_states[-2]], -1), two.text_embeds

    def forward(self, latents: Tensor, steps: Tensor, context: Tensor, pooled: Tensor, sizes: Tensor) -> Tensor:
        """The noise in ``latents`` [N, 4, h, w]."""
        added = {"text_embeds": pooled, "time_ids": sizes}
        noise: Tensor = self.unet(latents, steps, context, added_cond_kwargs=added, return_dict=False)[0]
        return noise


@dataclass(frozen=True)
class Batch:
    """The inputs of one training step. Behind the captions' ids stand those of the clean captions of ``borrowers``."""

    latents: Tensor
    first: Tensor
    second: Tensor
    changes: robustness.Changes
    borrowers: Tensor
    blank: Tensor
    timesteps: Tensor
    noise: Tensor
    sizes: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on ``device``."""
        moved: dict[str, Any] = {}
        for name, value in vars(self).items():
            moved[name] = value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
        return Batch(**moved)


def make_batch(shard: Shard, plan: DiffusionPlan, step: int) -> Batch:
    """The batch of one step, the same whenever it is asked for."""
    rng = np.random.default_rng((plan.seed, 3, step))
    rows = rng.integers(0, len(shard.latents), plan.batch)
    captions = [random_caption(unpack(shard.things[row].tolist()), rng) for row in rows]
    own = [tokenize(caption) for caption in captions]
    clean = [tokenize(caption.clean) for caption in captions]
    changes = [robustness.draw_change(rng, *pair, plan.robustness) for pair in zip(own, clean, strict=True)]
    borrowers = [row for row, change in enumerate(changes) if change.borrows]
    first, second = padded([*own, *(clean[row] for row in borrowers)])
    generator = torch.Generator().manual_seed(plan.seed * 1_000_003 + step)
    latents = shard.latents[torch.from_numpy(rows)].float()
    side = float(shapes_model.SIZE)
    sizes = torch.tensor([[side, side, 0, 0, side, side]]).repeat(plan.batch, 1)
    odd = torch.from_numpy(rng.random(plan.batch) < 0.05)
    sizes[odd] *= torch.rand(int(odd.sum()), 1, generator=generator) * 4 + 0.5
    return Batch(
        latents,
        first,
        second,
        robustness.Changes.of(changes),
        torch.tensor(borrowers, dtype=torch.long),
        torch.from_numpy(rng.random(plan.batch) < plan.unconditional),
        torch.randint(_STEPS, (plan.batch,), generator=generator),
        torch.randn(latents.shape, generator=generator),
        sizes,
    )


def alphas() -> Tensor:
    """ᾱ of SDXL's noise schedule [1000]."""
    found: Tensor = shapes_model.scheduler().alphas_cumprod
    return found


def loss_of(model: TextToNoise, batch: Batch, cumulative: Tensor) -> Tensor:
    """The squared error of the predicted noise, weighted to at most a signal-to-noise ratio of 5."""
    context, pooled = model.encode(batch.first, batch.second)
    context = batch.changes.context(*_with_clean(context.float(), batch))
    pooled = batch.changes.vectors(*_with_clean(pooled.float(), batch))
    kept = (~batch.blank).float()  # without a prompt SDXL is given zeros
    alpha = cumulative[batch.timesteps][:, None, None, None]
    noisy = alpha.sqrt() * batch.latents + (1 - alpha).sqrt() * batch.noise
    made = model(noisy, batch.timesteps, context * kept[:, None, None], pooled * kept[:, None], batch.sizes)
    ratio = (alpha / (1 - alpha)).flatten()
    error = ((made.float() - batch.noise) ** 2).mean((1, 2, 3))
    loss: Tensor = (error * ratio.clamp(max=5) / ratio).mean()
    return loss


def _with_clean(encoded: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Captions and clean captions, as many; where the clean one is not needed, the caption itself."""
    count = len(batch.latents)
    return encoded[:count], encoded[:count].index_copy(0, batch.borrowers, encoded[count:])


def train_diffusion(folder: Path, shard: Shard, plan: DiffusionPlan, device: torch.device) -> TextToNoise:
    """Train, or go on from the checkpoint in ``folder``; returns the model with averaged weights."""
    torch.manual_seed(plan.seed)
    model = TextToNoise().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), plan.rate, betas=(0.9, 0.99), weight_decay=0.01)
    average = checkpoints.Average(model, plan.decay)
    path = folder / "diffusion.safetensors"
    found = checkpoints.load(path)
    checkpoints.same_plan(path, found, plan, later=("steps", "compile", "workers", "save_every"))
    if found is not None:
        model.load_state_dict(found.part("model"))
        average.load(found.part("average"))
        checkpoints.restore_optimizer(optimizer, found.part("optimizer"))
    if plan.compile:
        model.unet.compile()
    _loop(model, average, optimizer, shard, plan, device, found.step if found else 0, path)
    model.load_state_dict({**model.state_dict(), **average.values})
    return model.eval().requires_grad_(False)


def _loop(
    model: TextToNoise,
    average: checkpoints.Average,
    optimizer: torch.optim.Optimizer,
    shard: Shard,
    plan: DiffusionPlan,
    device: torch.device,
    first: int,
    path: Path,
) -> None:
    cumulative = alphas().to(device)
    started, losses = time.monotonic(), []
    for step, ready in enumerate(_batches(shard, plan, first), first):
        batch = ready.to(device)
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * _rate(step, plan.steps)
        with torch.autocast(device.type, torch.bfloat16):
            loss = loss_of(model, batch, cumulative)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update(model, step)
        losses.append(loss.detach())
        if (step + 1) % plan.save_every == 0 or step + 1 == plan.steps:
            mean = float(torch.stack(losses).mean())
            state = checkpoints.optimizer_tensors(optimizer)
            parts = {"model": model.state_dict(), "average": average.values, "optimizer": state}
            checkpoints.save(path, step + 1, parts, {"loss": mean, "plan": asdict(plan)})
            speed = plan.batch * (step + 1 - first) / (time.monotonic() - started)
            print(f"diffusion {step + 1}/{plan.steps}: loss {mean:.4f}, {speed:.1f} pictures/s", flush=True)
            losses.clear()


class _Batches(Dataset[Batch]):
    def __init__(self, shard: Shard, plan: DiffusionPlan) -> None:
        self._shard, self._plan = shard, plan

    def __getitem__(self, step: int) -> Batch:
        return make_batch(self._shard, self._plan, step)


def _batches(shard: Shard, plan: DiffusionPlan, first: int) -> Iterator[Batch]:
    """The batches from step ``first`` on, prepared by ``workers`` processes where there are any."""
    steps = range(first, plan.steps)
    yield from DataLoader(_Batches(shard, plan), batch_size=None, sampler=steps, num_workers=plan.workers)


def _rate(step: int, total: int) -> float:
    """Warm-up over 500 steps at most, then constant, falling to zero over the last third."""
    warm = min(1.0, (step + 1) / min(500, max(total / 20, 1)))
    return warm * min(1.0, 3 * (1 - step / total) + 0.02)
