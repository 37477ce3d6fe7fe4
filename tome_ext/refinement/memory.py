"""How much of the UNet's passes is kept at once for the backward pass, by the memory that is free."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tome_ext.refinement.job import Step, Tokens
from tome_ext.settings import Settings
from tome_ext.unet import cross_attention_layers

# Bytes that one row's full pass saves for the backward pass in half precision, per latent pixel and per
# squared latent pixel (self-attention without a fused kernel), counted: tests/test_cost.py.
_SAVED = {"sdxl": (512e3, 33.4), "sd15": (430e3, 48.0)}
# What the rest of a pass needs beside it, and the share of the free memory that is taken at most.
_SHARE = 0.8


@dataclass(frozen=True)
class Plan:
    """``rows`` of the UNet in one backward pass (None: all losses in one), and whether blocks are checkpointed."""

    rows: int | None = None
    checkpointing: bool = False


def plan(step: Step, tokens: Tokens, settings: Settings) -> Plan:
    """The fastest plan that fits the free memory; "on" asks for the smallest one, "off" for the fastest.

    Where free memory cannot be known (not CUDA), "auto" is the fastest.
    """
    if settings.checkpointing == "on":
        return Plan(rows=1, checkpointing=True)
    free = free_memory(step.latents.device) if settings.checkpointing == "auto" else None
    if free is None:
        return Plan()
    needed = saved_bytes(step)
    room = int(free * _SHARE / needed)
    if room >= len(tokens.image) + len(set(tokens.image)):
        return Plan()
    return Plan(rows=room) if room else Plan(rows=1, checkpointing=True)


def free_memory(device: torch.device) -> int | None:
    """Bytes that can still be allocated on a CUDA ``device``, the allocator's own reserve included; else None."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


def saved_bytes(step: Step) -> float:
    """About how many bytes a full pass of one row saves for the backward pass."""
    pixels = step.latents.shape[-1] * step.latents.shape[-2]
    linear, square = _SAVED["sdxl" if len(cross_attention_layers(step.unet)) > 16 else "sd15"]
    weight = next(parameter for parameter in step.unet.parameters() if parameter.ndim == 4)
    precision = max(weight.element_size(), 2) / 2  # float8 is storage only
    return precision * weight.shape[0] / 320 * (linear * pixels + square * pixels**2)
