"""The order of the training, and the model as it stands in the middle of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionXLPipeline

from tome_ext.research.miniature import model
from tome_ext.research.miniature.training.autoencoder import AutoencoderPlan, train_autoencoder
from tome_ext.research.miniature.training.contrastive import ContrastivePlan, train_encoders
from tome_ext.research.miniature.training.diffusion import averaged
from tome_ext.research.training import checkpoints

_CPU = torch.device("cpu")


def snapshot(folder: Path, name: str = "unet") -> StableDiffusionXLPipeline:
    """The pipeline of a training's folder as far as it has come, the UNet with averaged weights."""
    vae, encoders = trained_parts(folder)
    unet = model.unet()
    unet.load_state_dict(averaged(folder / name / "diffusion.safetensors"))
    return model.pipeline(vae, *encoders, unet)


def trained_parts(folder: Path) -> tuple[Any, tuple[Any, Any]]:
    """The finished autoencoder and text encoders of a training's folder."""
    plans = [_plan(folder / f"{part}.safetensors") for part in ("autoencoder", "encoders")]
    vae = train_autoencoder(folder, AutoencoderPlan(**plans[0]), _CPU)
    return vae, train_encoders(folder, ContrastivePlan(**plans[1]), _CPU)


def _plan(path: Path) -> dict[str, Any]:
    found = checkpoints.load(path)
    if found is None:
        raise FileNotFoundError(path)
    plan: dict[str, Any] = found.notes["plan"]
    return plan
