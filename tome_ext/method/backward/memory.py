"""How much of the UNet's passes is kept at once for the backward pass, by the memory that is free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from tome_ext.embedded.counts import saved_bytes
from tome_ext.method.backward.autograd import frozen
from tome_ext.method.backward.checkpointing import checkpointed
from tome_ext.method.backward.weights import copied_bytes
from tome_ext.method.layers import cross_attention_layers
from tome_ext.method.state import Step, Tokens
from tome_ext.method.window import reduced_side
from tome_ext.settings import Settings

# Shares of the free memory: the most that one row may need before its blocks are checkpointed, and the most that
# several rows at once may need, which only saves time.
_ONE_ROW, _SEVERAL_ROWS = 0.8, 0.25
# Taken to be free where that cannot be known, in bytes; nothing is checkpointed on such a guess.
_UNKNOWN = 8 * 2**30


@dataclass(frozen=True)
class Plan:
    """``rows`` of the UNet in one backward pass (None: all losses in one), and whether blocks are checkpointed."""

    rows: int | None = None
    checkpointing: bool = False


@contextmanager
def backward_passes(step: Step, tokens: Tokens, settings: Settings) -> Iterator[int | None]:
    """Within, gradients reach the inputs of the frozen UNet, in the memory that is free.

    Yields how many rows of the UNet may take part in one backward pass; None: all at once.
    """
    made = plan(step, tokens, settings)
    saving = checkpointed(step.unet) if made.checkpointing else nullcontext()
    with torch.enable_grad(), frozen(step.unet), saving:
        yield made.rows


def plan(step: Step, tokens: Tokens, settings: Settings) -> Plan:
    """The fastest plan that fits the free memory; "on" asks for the smallest one, "off" for the fastest.

    Where free memory cannot be known (not CUDA), "auto" never checkpoints.
    """
    if settings.checkpointing == "on":
        return Plan(rows=1, checkpointing=True)
    if settings.checkpointing == "off":
        return Plan()
    known = free_memory(step.latents.device)
    free = _UNKNOWN if known is None else max(known - copied_bytes(step.unet, step.latents.device), 0)
    needed = row_bytes(step, settings)
    if known is not None and needed > free * _ONE_ROW:
        return Plan(rows=1, checkpointing=True)
    rows = max(1, int(free * _SEVERAL_ROWS / needed))
    return Plan() if rows >= len(tokens.image) + len(set(tokens.image)) else Plan(rows=rows)


def free_memory(device: torch.device) -> int | None:
    """Bytes that can still be allocated on a CUDA ``device``, the allocator's own reserve included; else None."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


def row_bytes(step: Step, settings: Settings) -> float:
    """About how many bytes a full pass of one row saves for the backward pass."""
    return pass_bytes(step.unet, *(reduced_side(size, step.resolution(settings)) for size in step.latents.shape[-2:]))


def pass_bytes(unet: nn.Module, height: int, width: int) -> float:
    """The same for a latent of this size, by the counts of SDXL and SD1.5."""
    known = saved_bytes("sdxl" if len(cross_attention_layers(unet)) > 16 else "sd15", height, width)
    kernel = next(parameter for parameter in unet.parameters() if parameter.ndim == 4)
    precision = max(kernel.element_size(), 2) / 2  # float8 is for storage alone
    return known * precision * kernel.shape[0] / 320
