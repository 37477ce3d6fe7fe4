"""A smaller latent for the losses, at the same noise level."""

from __future__ import annotations

import torch
from torch import Tensor

from tome_ext.method.window import reduced_side


def reduced(latents: Tensor, resolution: float) -> Tensor:
    """Latents [B, C, h, w] with about ``resolution`` of their height and width, by picking single pixels.

    The noise of different pixels is independent, so that picked ones are again noise of the same strength, and the
    UNet's noise level stays right. (Averages would have less: half as much for 2 x 2.) What is picked of the
    picture itself is not smoothed, but there is little fine detail in it while the layout forms. Sides are those of
    :func:`tome_ext.method.window.reduced_side`; gradients flow to the picked pixels.
    """
    if resolution >= 1:
        return latents
    rows, columns = (_picked(size, resolution, latents.device) for size in latents.shape[-2:])
    return latents[..., rows, :][..., columns]


def _picked(size: int, resolution: float, device: torch.device) -> Tensor:
    count = reduced_side(size, resolution)
    return torch.tensor([(2 * number + 1) * size // (2 * count) for number in range(count)], device=device)
