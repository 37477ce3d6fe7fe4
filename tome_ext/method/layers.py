"""What the method needs to know of a UNet: its cross-attention layers, whatever library built it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sized

from torch import nn

from tome_ext.settings import short

_SHOWN = 3
_LDM = re.compile(r"(input_blocks|middle_block|output_blocks)\.(?:(\d+)\.)?(\d+)\.transformer_blocks\.(\d+)\.attn2$")
_DIFFUSERS = re.compile(r"((?:down_blocks|up_blocks)\.\d+|mid_block)\.attentions\.\d+\.transformer_blocks\.\d+\.attn2$")


def cross_attention_layers(unet: nn.Module) -> dict[str, nn.Module]:
    """The cross-attention modules (``attn2``) in the order of the forward pass, under diffusers' names.

    ``unet`` is a UNet of diffusers, ldm or sgm (the WebUI family). A name is that of the transformer block:
    ``up_blocks.0.attentions.1.transformer_blocks.2``, for sgm's ``output_blocks.1.1.transformer_blocks.2``.
    """
    found: dict[str, nn.Module] = {}
    for name, module in unet.named_modules():
        if name.endswith(".attn2"):
            canonical = _canonical(unet, name)
            if canonical is not None:
                found[canonical] = module
    return dict(sorted(found.items(), key=lambda item: _order(item[0])))


def select_layers(unet: nn.Module, which: str) -> dict[str, nn.Module]:
    """The layers that the setting ``layers`` names; ValueError where it names none, or some of different resolutions.

    "reference": the authors' ``up_blocks.0.attentions.1.transformer_blocks.{1,2,3}`` on SDXL; on a UNet of one
    transformer block per attention (SD1.5, SD2), the first decoder level with cross-attention. "paper": the
    decoder's first three. "middle": the middle block's. Else names separated by commas, ``*`` allowed.
    """
    layers = cross_attention_layers(unet)
    decoder = [name for name in layers if name.startswith("up_blocks")]
    if which == "middle":
        names = [name for name in layers if name.startswith("mid_block")]
    elif which == "paper":
        names = decoder[:3]
    elif which == "reference":
        level = [name for name in decoder if name.split(".")[:2] == decoder[0].split(".")[:2]]
        second = [name for name in level if name.split(".")[3] == "1"]
        names = second[1:4] if len(second) > 1 else level[:3]
    else:
        patterns = [pattern.strip() for pattern in which.split(",") if pattern.strip()]
        names = [name for name in layers if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    if not names:
        shown = ", ".join(
            [*list(layers)[:_SHOWN], *([f"and {len(layers) - _SHOWN} more"] if len(layers) > _SHOWN else [])]
        )
        raise ValueError(f"layers = {short(which)}: no cross-attention layer of this model; it has {shown}")
    _check_resolution(unet, which, names)
    return {name: layers[name] for name in names}


def _check_resolution(unet: nn.Module, which: str, names: list[str]) -> None:
    """ValueError for layers whose maps cannot be averaged, with one layer of each resolution."""
    stages = (getattr(unet, name, None) for name in ("down_blocks", "num_res_blocks", "channel_mult"))
    count = next((len(stage) for stage in stages if isinstance(stage, Sized) and len(stage)), 0)
    if not count:
        return
    by_level = {_level(name, count): name for name in reversed(names)}
    if len(by_level) > 1:
        examples = ", ".join(by_level[level] for level in sorted(by_level))
        raise ValueError(
            f"layers = {short(which)}: layers of different resolutions cannot be averaged; choose those of one among "
            f"{examples}"
        )


def _level(name: str, count: int) -> int:
    """How often the latent is halved where a layer stands, in a UNet of ``count`` levels."""
    stage, number = name.split(".")[:2]
    if stage == "mid_block":
        return count - 1
    return int(number) if stage == "down_blocks" else count - 1 - int(number)


def _canonical(unet: nn.Module, name: str) -> str | None:
    match = _DIFFUSERS.search(name)
    if match:
        return match.group(0).removesuffix(".attn2")
    match = _LDM.search(name)
    if not match:
        return None
    stage, block, _, depth = match.groups()
    if stage == "middle_block":
        return f"mid_block.attentions.0.transformer_blocks.{depth}"
    resnets = getattr(unet, "num_res_blocks", 2)
    counts = list(resnets) if isinstance(resnets, (list, tuple)) else [resnets] * len(unet.channel_mult)  # type: ignore[arg-type]
    index = int(block)
    if stage == "input_blocks":
        level, layer = _split(index - 1, [count + 1 for count in counts])
        return f"down_blocks.{level}.attentions.{layer}.transformer_blocks.{depth}"
    level, layer = _split(index, [count + 1 for count in reversed(counts)])
    return f"up_blocks.{level}.attentions.{layer}.transformer_blocks.{depth}"


def _split(index: int, counts: list[int]) -> tuple[int, int]:
    level = 0
    while index >= counts[level]:
        index -= counts[level]
        level += 1
    return level, index


def _order(name: str) -> tuple[int, ...]:
    stage = ("down_blocks", "mid_block", "up_blocks").index(name.split(".")[0])
    return stage, *(int(number) for number in re.findall(r"\d+", name))
