"""The autoencoder: learnt from crops of scenes, then from whole pictures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tome_ext.embedded import shapes_model
from tome_ext.research.training import checkpoints
from tome_ext.research.world.drawing import render_batch
from tome_ext.research.world.scenes import SIZE, random_scene

_SAVE_EVERY = 100


@dataclass(frozen=True)
class AutoencoderPlan:
    """What to train: ``steps`` of ``batch`` crops, the last ``whole`` share of them on whole pictures."""

    seed: int = 0
    steps: int = 2400
    batch: int = 24
    rate: float = 2e-3
    crop: int = 64
    whole: float = 0.15
    divergence: float = 1e-5

    def crop_at(self, step: int) -> int:
        """The side of the pictures at a step."""
        return SIZE if step >= self.steps * (1 - self.whole) else self.crop

    def batch_at(self, step: int) -> int:
        """How many pictures a step takes; a whole one counts as the crops that fill it."""
        return max(1, self.batch * self.crop**2 // self.crop_at(step) ** 2)


def pictures(plan: AutoencoderPlan, step: int) -> Tensor:
    """The pictures of one step [N, 3, c, c] in −1 … 1, the same whenever they are asked for."""
    rng = np.random.default_rng((plan.seed, 1, step))
    scenes = [random_scene(rng) for _ in range(plan.batch_at(step))]
    whole = render_batch(scenes, rng)
    side = plan.crop_at(step)
    corners = rng.integers(0, SIZE - side + 1, (len(whole), 2))
    crops = np.stack([p[y : y + side, x : x + side] for p, (y, x) in zip(whole, corners, strict=True)])
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1


def loss_of(vae: Any, images: Tensor, noise: Tensor, divergence: float) -> tuple[Tensor, Tensor]:
    """The loss (squared and absolute error, of differences too, and divergence), and the mean absolute error."""
    posterior = vae.encode(images).latent_dist
    latents = posterior.mean + posterior.std * noise
    made = vae.decode(latents).sample.float()
    error = (made - images).abs().mean()
    loss = 4 * ((made - images) ** 2).mean() + 0.25 * error  # squares: colours first, they are the largest errors
    for axis in (2, 3):
        loss = loss + 0.25 * (made.diff(dim=axis) - images.diff(dim=axis)).abs().mean()
    kl = 0.5 * (posterior.mean.float() ** 2 + posterior.var.float() - 1 - posterior.logvar.float()).mean()
    return loss + divergence * kl, error


def train_autoencoder(folder: Path, plan: AutoencoderPlan, device: torch.device) -> Any:
    """Train, or go on from the checkpoint in ``folder``; returns the autoencoder with its scaling factor set."""
    torch.manual_seed(plan.seed)
    vae = _fresh().to(device)
    optimizer = torch.optim.AdamW(vae.parameters(), plan.rate, betas=(0.9, 0.98), weight_decay=1e-4)
    average = checkpoints.Average(vae, 0.995)
    path = folder / "autoencoder.safetensors"
    found = checkpoints.load(path)
    checkpoints.same_plan(path, found, plan)
    first = 0
    if found is not None:
        first = found.step
        vae.load_state_dict(found.part("model"))
        average.load(found.part("average"))
        checkpoints.restore_optimizer(optimizer, found.part("optimizer"))
    started, seen = time.monotonic(), 0
    for step in range(first, plan.steps):
        images = pictures(plan, step).to(device)
        _set_rate(optimizer, plan.rate, step, plan.steps)
        generator = torch.Generator().manual_seed(plan.seed * 1_000_003 + step)
        side = images.shape[-1] // 8
        noise = torch.randn(len(images), 4, side, side, generator=generator).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            loss, error = loss_of(vae, images, noise, plan.divergence)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        average.update(vae, step)
        seen += len(images)
        if (step + 1) % _SAVE_EVERY == 0 or step + 1 == plan.steps:
            parts = {
                "model": vae.state_dict(),
                "average": average.values,
                "optimizer": checkpoints.optimizer_tensors(optimizer),
            }
            checkpoints.save(path, step + 1, parts, {"error": float(error.detach()), "plan": asdict(plan)})
            print(
                f"autoencoder {step + 1}/{plan.steps}: error {float(error.detach()):.4f}, "
                f"{seen / (time.monotonic() - started):.1f} pictures/s",
                flush=True,
            )
    vae.load_state_dict({**vae.state_dict(), **average.values})
    vae.register_to_config(scaling_factor=round(_scaling(vae, plan, device), 5))
    return vae.eval().requires_grad_(False)


def _fresh() -> Any:
    """An untrained autoencoder whose latents begin almost without noise: in more, no colour is learnt for long."""
    vae = shapes_model.autoencoder()
    with torch.no_grad():
        vae.quant_conv.bias[4:] = -12.0
    return vae


@torch.no_grad()
def reconstruct(vae: Any, images: Tensor) -> Tensor:
    """``images`` [N, 3, h, w] in −1 … 1, encoded and decoded."""
    decoded: Tensor = vae.decode(vae.encode(images).latent_dist.mean).sample
    return decoded.clamp(-1, 1)


@torch.no_grad()
def _scaling(vae: Any, plan: AutoencoderPlan, device: torch.device) -> float:
    """One over the latents' standard deviation, measured on pictures of its own."""
    chosen = AutoencoderPlan(seed=plan.seed + 1, steps=1, batch=64, crop=SIZE)
    latents = [vae.encode(part.to(device)).latent_dist.mean for part in _parts(pictures(chosen, 0))]
    return 1 / float(torch.cat(latents).float().std())


def _parts(images: Tensor, size: int = 16) -> Iterator[Tensor]:
    for start in range(0, len(images), size):
        yield images[start : start + size]


def _set_rate(optimizer: torch.optim.Optimizer, rate: float, step: int, total: int) -> None:
    """Warm up over the first fiftieth, then fall as a cosine to a twentieth."""
    warm = min(1.0, (step + 1) / max(total / 50, 1))
    cosine = 0.05 + 0.95 * 0.5 * (1 + float(np.cos(np.pi * step / total)))
    for group in optimizer.param_groups:
        group["lr"] = rate * warm * cosine


def mean_error(vae: Any, seed: int = 9, count: int = 32) -> float:
    """The mean absolute error of reconstructions, in levels of 0 … 255, on pictures of their own."""
    images = pictures(AutoencoderPlan(seed=seed, steps=1, batch=count, crop=SIZE), 0)
    device = next(vae.parameters()).device
    made = torch.cat([reconstruct(vae, part.to(device)).cpu() for part in _parts(images)])
    return float(functional.l1_loss(made, images)) * 127.5
