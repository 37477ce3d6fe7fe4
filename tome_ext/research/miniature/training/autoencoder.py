"""The miniature's autoencoder: learnt from square pieces of pictures, at last from whole ones."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor

from tome_ext.research.miniature import model
from tome_ext.research.miniature.world.drawing import Array, render_batch
from tome_ext.research.miniature.world.things import HEIGHT, WIDTH, random_picture
from tome_ext.research.training import checkpoints

_SAVE_EVERY = 250


@dataclass(frozen=True)
class AutoencoderPlan:
    """What to train, and for how long."""

    seed: int = 0
    steps: int = 1200
    batch: int = 48
    rate: float = 4e-3
    divergence: float = 1e-4
    whole: float = 0.1  # the share of the steps, the last ones, that see whole pictures


def pictures(seed: int, step: int, count: int) -> Tensor:
    """The pictures of one step [N, 3, h, w] in −1 … 1; things of all pairs, as the autoencoder knows no words."""
    rng = np.random.default_rng((seed, 11, step))
    made = render_batch([random_picture(rng, unseen=bool(rng.random() < 0.3)) for _ in range(count)], rng)
    return as_input(made)


def _pieces(plan: AutoencoderPlan, step: int) -> Tensor:
    """Square pieces of pictures, or half as many whole pictures at the end."""
    if step >= plan.steps * (1 - plan.whole):
        return pictures(plan.seed, step, plan.batch // 2)
    images = pictures(plan.seed, step, plan.batch)
    left = np.random.default_rng((plan.seed, 12, step)).integers(0, WIDTH - HEIGHT + 1, len(images))
    return torch.stack([image[..., start : start + HEIGHT] for image, start in zip(images, left, strict=True)])


def as_input(pixels: Array) -> Tensor:
    """Pixels [N, h, w, 3] as the autoencoder takes them."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def as_pixels(images: Tensor) -> Array:
    """The inverse of :func:`as_input`."""
    whole: Array = ((images.clamp(-1, 1).permute(0, 2, 3, 1).cpu().numpy() + 1) * 127.5).round().astype(np.uint8)
    return whole


def loss_of(vae: Any, images: Tensor, noise: Tensor, divergence: float) -> tuple[Tensor, Tensor]:
    """The loss (squares, absolute errors, of differences too, and divergence) and the mean absolute error."""
    posterior = vae.encode(images).latent_dist
    made = vae.decode(posterior.mean + posterior.std * noise).sample
    error = (made - images).abs().mean()
    loss = 4 * ((made - images) ** 2).mean() + 0.25 * error
    for axis in (2, 3):
        loss = loss + 0.25 * (made.diff(dim=axis) - images.diff(dim=axis)).abs().mean()
    spread = 0.5 * (posterior.mean**2 + posterior.var - 1 - posterior.logvar).mean()
    return loss + divergence * spread, error


def train_autoencoder(folder: Path, plan: AutoencoderPlan, device: torch.device) -> Any:
    """Train, or go on from the checkpoint in ``folder``; returns the autoencoder with its scaling factor set."""
    torch.manual_seed(plan.seed)
    vae = model.autoencoder()
    with torch.no_grad():
        vae.quant_conv.bias[4:] = -10.0  # latents begin almost without noise; in more, no colour is learnt for long
    vae.set_attn_processor(AttnProcessor())  # fused attention is slow on CPUs at this size
    vae = vae.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), plan.rate, betas=(0.9, 0.98), weight_decay=1e-4)
    average = checkpoints.Average(vae, 0.995)
    path = folder / "autoencoder.safetensors"
    found = checkpoints.load(path)
    checkpoints.same_plan(path, found, plan, later=("steps",))
    if found is not None:
        vae.load_state_dict(found.part("model"))
        average.load(found.part("average"))
        checkpoints.restore_optimizer(optimizer, found.part("optimizer"))
    _loop(vae, optimizer, average, plan, device, found.step if found else 0, path)
    vae.load_state_dict({**vae.state_dict(), **average.values})
    vae = vae.eval().requires_grad_(False)
    with torch.no_grad():
        latents = vae.encode(pictures(plan.seed + 1, 0, 256).to(device)).latent_dist.mean
    vae.register_to_config(scaling_factor=round(1 / float(latents.std()), 5))
    return vae


def _loop(
    vae: Any,
    optimizer: torch.optim.Optimizer,
    average: checkpoints.Average,
    plan: AutoencoderPlan,
    device: torch.device,
    first: int,
    path: Path,
) -> None:
    started = time.monotonic()
    for step in range(first, plan.steps):
        images = _pieces(plan, step).to(device, memory_format=torch.channels_last)
        generator = torch.Generator().manual_seed(plan.seed * 1_000_003 + step)
        height, width = (side // model.REDUCTION for side in images.shape[-2:])
        noise = torch.randn(len(images), 4, height, width, generator=generator).to(device)
        cosine = 0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * step / plan.steps)))
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * min(1.0, (step + 1) / 50) * cosine
        loss, error = loss_of(vae, images, noise, plan.divergence)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        average.update(vae, step)
        if (step + 1) % _SAVE_EVERY == 0 or step + 1 == plan.steps:
            state = checkpoints.optimizer_tensors(optimizer)
            parts = {"model": vae.state_dict(), "average": average.values, "optimizer": state}
            checkpoints.save(path, step + 1, parts, {"plan": asdict(plan)})
            speed = plan.batch * (step + 1 - first) / (time.monotonic() - started)
            told = f"error {127.5 * float(error.detach()):.2f} of 255, {speed:.0f} pictures/s"
            print(f"autoencoder {step + 1}/{plan.steps}: {told}", flush=True)


@torch.no_grad()
def decode(vae: Any, latents: Tensor, batch: int = 64) -> Array:
    """Latents [N, 4, h, w], scaled, as pixels [N, 8h …, 3]."""
    portions = [latents[start : start + batch] for start in range(0, len(latents), batch)]
    parts = [vae.decode(part / vae.config.scaling_factor).sample for part in portions]
    return as_pixels(torch.cat(parts))


@torch.no_grad()
def reconstruct(vae: Any, pixels: Array) -> Array:
    """Pixels [h, w, 3], encoded and decoded: what the judge is measured with."""
    images = as_input(pixels[None])
    made: Array = as_pixels(vae.decode(vae.encode(images).latent_dist.mean).sample)[0]
    return made
