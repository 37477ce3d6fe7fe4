"""The full-size UNets whose passes are counted: their public architectures, on the meta device, without weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

import torch
from torch import Tensor

from tome_ext.tokens.vocabulary import CHUNK


@dataclass(frozen=True)
class Architecture:
    """A UNet [in fp16, on meta], the length of its pooled vector (0: none), its own picture size in pixels, and
    the FLOPs of encoding one prompt of CHUNK tokens."""

    name: str
    unet: Any
    width: int
    pooled: int
    size: int
    encoding: int

    def predict(self, latents: Tensor, context: Tensor) -> Tensor:
        """The noise [R, 4, h, w] for latents [R, 4, h, w] and a context [R, T, D]."""
        added: dict[str, Tensor] | None = None
        if self.pooled:
            rows = len(latents)
            added = {
                "text_embeds": latents.new_zeros(rows, self.pooled),
                "time_ids": latents.new_zeros(rows, 6),
            }
        timestep = torch.tensor(500.0, device=latents.device)
        found: Tensor = self.unet(latents, timestep, context.to(latents.dtype), added_cond_kwargs=added).sample
        return found


def architecture(name: str) -> Architecture:
    """The architecture "sdxl" (base) or "sd15"; built in a few seconds."""
    from diffusers import UNet2DConditionModel

    shape = json.loads(resources.files("tome_ext.embedded").joinpath(f"unet_{name}.json").read_text(encoding="utf-8"))
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel(**shape)
    unet.half().eval().requires_grad_(False)
    clip_l = _encoding(width=768, layers=12)
    if name == "sdxl":
        return Architecture(name, unet, 2048, 1280, 1024, clip_l + _encoding(width=1280, layers=32))
    return Architecture(name, unet, 768, 0, 512, clip_l)


def _encoding(width: int, layers: int, tokens: int = CHUNK) -> int:
    """FLOPs of a CLIP text encoder: 12 · width² weights per layer, and the attention between the tokens."""
    return layers * (2 * tokens * 12 * width**2 + 4 * tokens**2 * width)
