"""The UNet's training, on encodings that never change."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor

from tome_ext.embedded import shapes_model
from tome_ext.research.miniature import model
from tome_ext.research.miniature.training.bank import Bank
from tome_ext.research.miniature.training.whitening import Whitening
from tome_ext.research.training import checkpoints

_STEPS = 1000
_EASY = 5.0  # the signal-to-noise ratio from which steps do not count more


@dataclass(frozen=True)
class DiffusionPlan:
    """What to train, and for how long."""

    seed: int = 0
    steps: int = 12_000
    batch: int = 32
    rate: float = 1.2e-3
    decay: float = 0.999
    unconditional: float = 0.1
    pooled_missing: float = 0.0  # share of texts without their pooled vector, which else may be all that is read
    save_every: int = 200
    compile: bool = False
    minutes: float = 0.0  # stop after as many, the rate falling to nothing by then; 0: after the steps


LATER = ("steps", "save_every", "compile", "minutes")  # what may change when a training goes on


@dataclass(frozen=True)
class Batch:
    """The inputs of one step: clean latents, text (zeros where there is none), noise and its step."""

    latents: Tensor
    context: Tensor
    pooled: Tensor
    noise: Tensor
    timesteps: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on ``device``, in single precision."""
        moved = [value.to(device) for value in vars(self).values()]
        return Batch(*(value.float() if value.is_floating_point() else value for value in moved))


def make_batch(bank: Bank, plan: DiffusionPlan, step: int) -> Batch:
    """The batch of one step, the same whenever it is asked for."""
    rng = np.random.default_rng((plan.seed, 41, step))
    rows = torch.from_numpy(rng.integers(0, len(bank), plan.batch))
    drawn, told = (
        torch.from_numpy(rng.integers(0, part.shape[1], plan.batch)) for part in (bank.latents, bank.contexts)
    )
    kept = torch.from_numpy(rng.random(plan.batch) >= plan.unconditional).half()
    whole = torch.from_numpy(rng.random(plan.batch) >= plan.pooled_missing).half()
    generator = torch.Generator().manual_seed(plan.seed * 1_000_003 + step)
    latents = bank.latents[rows, drawn]
    return Batch(
        latents,
        bank.contexts[rows, told] * kept[:, None, None],
        bank.pooled[rows, told] * (kept * whole)[:, None],
        torch.randn(latents.shape, generator=generator),
        torch.randint(_STEPS, (plan.batch,), generator=generator),
    )


def loss_of(unet: Any, batch: Batch, cumulative: Tensor) -> Tensor:
    """The squared error of the predicted noise, weighted to at most a signal-to-noise ratio of 5."""
    alpha = cumulative[batch.timesteps][:, None, None, None]
    noisy = alpha.sqrt() * batch.latents + (1 - alpha).sqrt() * batch.noise
    sizes = torch.tensor([model.SIZES], device=noisy.device).expand(len(noisy), -1)
    added = {"text_embeds": batch.pooled, "time_ids": sizes}
    made = unet(noisy, batch.timesteps, batch.context, added_cond_kwargs=added, return_dict=False)[0]
    ratio = (alpha / (1 - alpha)).flatten()
    error = ((made.float() - batch.noise) ** 2).mean((1, 2, 3))
    loss: Tensor = (error * ratio.clamp(max=_EASY) / ratio).mean()
    return loss


def train_diffusion(folder: Path, bank: Bank, plan: DiffusionPlan, device: torch.device, start: Path | None) -> Any:
    """Train, or go on from the checkpoint in ``folder``; returns the UNet with averaged weights.

    ``start``: the checkpoint of another training, whose averaged weights a new one begins with. The ``bank`` is
    whitened in place.
    """
    torch.manual_seed(plan.seed)
    unet = model.unet()
    path = folder / "diffusion.safetensors"
    found = checkpoints.load(path)
    checkpoints.same_plan(path, found, plan, later=LATER)
    white = Whitening.read(found.part("whitening")) if found else Whitening.of(bank)
    if found is not None:
        unet.load_state_dict(found.part("model"))
    elif start is not None:
        unet.load_state_dict(white.unfolded(averaged(start)))
    bank = white.bank(bank)
    unet.set_attn_processor(AttnProcessor())  # fused attention is slow on CPUs at this size
    unet = unet.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(unet.parameters(), plan.rate, betas=(0.9, 0.98), weight_decay=0.01)
    average = checkpoints.Average(unet, plan.decay)
    if found is not None:
        average.load({name: value.to(device) for name, value in found.part("average").items()})
        checkpoints.restore_optimizer(optimizer, found.part("optimizer"))
    if plan.compile:
        unet.compile()
    _loop(unet, white, average, optimizer, bank, plan, device, found.step if found else 0, path)
    made = model.unet()
    made.load_state_dict(averaged(path))
    return made.eval().requires_grad_(False)


def averaged(path: Path) -> dict[str, Tensor]:
    """The averaged weights of a checkpoint, as they read raw encodings; FileNotFoundError where there is none."""
    found = checkpoints.load(path)
    if found is None:
        raise FileNotFoundError(path)
    state = {**found.part("model"), **found.part("average")}
    whitening = found.part("whitening")
    return Whitening.read(whitening).folded(state) if whitening else state


def _loop(
    unet: Any,
    white: Whitening,
    average: checkpoints.Average,
    optimizer: torch.optim.Optimizer,
    bank: Bank,
    plan: DiffusionPlan,
    device: torch.device,
    first: int,
    path: Path,
) -> None:
    cumulative = shapes_model.scheduler().alphas_cumprod.to(device)
    started, losses = time.monotonic(), []
    for step in range(first, plan.steps):
        batch = make_batch(bank, plan, step).to(device)
        progress = step / plan.steps
        if plan.minutes:
            spent = (time.monotonic() - started) / 60 / plan.minutes
            progress = max(progress, first / plan.steps + (1 - first / plan.steps) * min(1.0, spent))
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * rate_at(step, progress)
        loss = loss_of(unet, batch, cumulative)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        average.update(unet, step)
        losses.append(loss.detach())
        last = step + 1 == plan.steps or progress >= 1
        if (step + 1) % plan.save_every == 0 or last:
            mean = float(torch.stack(losses).mean())
            losses.clear()
            parts = {"model": unet.state_dict(), "average": average.values, "whitening": white.tensors()}
            parts["optimizer"] = checkpoints.optimizer_tensors(optimizer)
            checkpoints.save(path, step + 1, parts, {"loss": mean, "plan": asdict(plan)})
            speed = plan.batch * (step + 1 - first) / (time.monotonic() - started)
            _log(path.with_suffix(".jsonl"), {"step": step + 1, "loss": mean, "pictures per second": speed})
            print(f"diffusion {step + 1}/{plan.steps}: loss {mean:.4f}, {speed:.1f} pictures/s", flush=True)
        if last:
            break


def rate_at(step: int, progress: float) -> float:
    """The share of the full rate: warming up over 200 steps, constant, falling over the last half of the training."""
    return min(1.0, (step + 1) / 200) * min(1.0, 2 * (1 - progress) + 0.01)


def _log(path: Path, entry: dict[str, float]) -> None:
    """One more line of what can be plotted."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
