"""From diffusers' names to those of the WebUI's checkpoints."""

from __future__ import annotations

import re

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_WHOLE = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def unet_name(name: str) -> str:
    """The name of a UNet's tensor; two residual blocks a level, SDXL's three levels. ValueError for an unknown one."""
    for own, theirs in _WHOLE.items():
        if name.startswith(own + "."):
            return theirs + name[len(own) :]
    found = re.fullmatch(r"(down_blocks|up_blocks)\.(\d)\.(resnets|attentions)\.(\d)\.(.+)", name)
    if found:
        side, block, kind, number, rest = found.groups()
        down = side == "down_blocks"
        place = 3 * int(block) + int(number) + down
        return f"{'input' if down else 'output'}_blocks.{place}.{_inner(kind, rest)}"
    found = re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)", name)
    if found:
        kind, number, rest = found.groups()
        return f"middle_block.{1 if kind == 'attentions' else 2 * int(number)}.{_inner(kind, rest)[2:]}"
    found = re.fullmatch(r"(down|up)_blocks\.(\d)\.(?:down|up)samplers\.0\.conv\.(.+)", name)
    if not found:
        raise ValueError(f"unknown tensor of a UNet: {name}")
    side, block, rest = found.groups()
    if side == "down":
        return f"input_blocks.{3 * int(block) + 3}.0.op.{rest}"
    return f"output_blocks.{3 * int(block) + 2}.2.conv.{rest}"  # behind the attention: the lowest levels have one


def _inner(kind: str, rest: str) -> str:
    if kind == "attentions":
        return f"1.{rest}"
    layer, last = rest.rsplit(".", 1)
    return f"0.{_RESNET[layer]}.{last}"


def autoencoder_name(name: str) -> str:
    """The name of an autoencoder's tensor of four levels."""
    found = re.fullmatch(r"(encoder|decoder)\.(?:down|up)_blocks\.(\d)\.(.+)", name)
    if found:
        side, block, rest = found.groups()
        level = int(block) if side == "encoder" else 3 - int(block)
        rest = re.sub(r"^resnets\.", "block.", rest).replace("conv_shortcut", "nin_shortcut")
        rest = re.sub(r"^(down|up)samplers\.0\.", r"\1sample.", rest)
        return f"{side}.{'down' if side == 'encoder' else 'up'}.{level}.{rest}"
    found = re.fullmatch(r"(encoder|decoder)\.mid_block\.(resnets|attentions)\.(\d)\.(.+)", name)
    if found:
        side, kind, number, rest = found.groups()
        if kind == "resnets":
            return f"{side}.mid.block_{int(number) + 1}.{rest.replace('conv_shortcut', 'nin_shortcut')}"
        layer, last = rest.rsplit(".", 1)
        return f"{side}.mid.attn_1.{_ATTENTION[layer]}.{last}"
    return name.replace("conv_norm_out", "norm_out")
