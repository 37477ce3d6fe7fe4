"""The text encoders in the WebUI's form; the second one is widened to the smallest of OpenCLIP's that fits."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from tome_ext.embedded.shapes_model import TEXT_HEADS, TEXT_LAYERS, TEXT_WIDTHS
from tome_ext.research.export.widen import Layout, Tensors, matrix, vector

# OpenCLIP's "ViT-S-32-alt": the text tower has this width, as many layers, four heads.
OPEN_CLIP, OPEN_WIDTH, OPEN_LAYERS = "ViT-S-32-alt", 256, 10


def context_layout() -> Layout:
    """Where both encoders' channels stand in the WebUI's context; the second's are there twice."""
    second = Layout.repeated(TEXT_WIDTHS[1], OPEN_WIDTH // TEXT_WIDTHS[1])
    return Layout.at(0, TEXT_WIDTHS[0], TEXT_WIDTHS[0]).then(second)


def pooled_layout() -> Layout:
    """Where the pooled vector's channels stand."""
    return Layout.at(0, TEXT_WIDTHS[1], OPEN_WIDTH)


def first_encoder(source: Mapping[str, Tensor]) -> Tensors:
    """The first encoder's tensors, whose names depend on the library's version, as the WebUI has them."""
    found = {name.removeprefix("text_model."): value for name, value in source.items()}
    return {f"transformer.text_model.{name}": value for name, value in found.items() if "position_ids" not in name}


def second_encoder(source: Mapping[str, Tensor]) -> Tensors:
    """The second encoder's tensors by OpenCLIP's names: copied channels, and layers that do nothing in between."""
    narrow = {name.removeprefix("text_model."): value for name, value in source.items()}
    times = OPEN_WIDTH // TEXT_WIDTHS[1]
    stream = Layout.repeated(TEXT_WIDTHS[1], times)
    copied = {
        "token_embedding.weight": narrow["embeddings.token_embedding.weight"].repeat(1, times),
        "positional_embedding": narrow["embeddings.position_embedding.weight"].repeat(1, times),
        "ln_final.weight": vector(narrow["final_layer_norm.weight"], stream),
        "ln_final.bias": vector(narrow["final_layer_norm.bias"], stream),
        "text_projection": matrix(narrow["text_projection.weight"], stream, pooled_layout()).T.contiguous(),
    }
    # The last layer is the one that the penultimate states leave out; idle ones stand before it.
    numbers = [*range(TEXT_LAYERS - 1), *[None] * (OPEN_LAYERS - TEXT_LAYERS), TEXT_LAYERS - 1]
    for place, number in enumerate(numbers):
        layer = _idle(stream) if number is None else _layer(narrow, f"encoder.layers.{number}", stream, times)
        copied |= {f"transformer.resblocks.{place}.{name}": value for name, value in layer.items()}
    return {f"model.{name}": value for name, value in copied.items()}


def _layer(source: Mapping[str, Tensor], name: str, stream: Layout, times: int) -> Tensors:
    width = TEXT_WIDTHS[1]
    heads = Layout.heads(width, width // TEXT_HEADS, times)
    hidden = Layout.at(0, 4 * width, 4 * width * times)
    made: Tensors = {}
    for kind in ("weight", "bias"):
        made[f"ln_1.{kind}"] = vector(source[f"{name}.layer_norm1.{kind}"], stream)
        made[f"ln_2.{kind}"] = vector(source[f"{name}.layer_norm2.{kind}"], stream)
        parts = []
        for part in "qkv":
            scale = math.sqrt(times) if part == "q" else 1.0
            value = source[f"{name}.self_attn.{part}_proj.{kind}"]
            parts.append(vector(value, heads, scale) if kind == "bias" else matrix(value, stream, heads, scale))
        made[f"attn.in_proj_{kind}"] = torch.cat(parts)
    for own, theirs, inner, out in (
        ("self_attn.out_proj", "attn.out_proj", heads, stream),
        ("mlp.fc1", "mlp.c_fc", stream, hidden),
        ("mlp.fc2", "mlp.c_proj", hidden, stream),
    ):
        made[f"{theirs}.weight"] = matrix(source[f"{name}.{own}.weight"], inner, out)
        made[f"{theirs}.bias"] = vector(source[f"{name}.{own}.bias"], out)
    return made


def _idle(stream: Layout) -> Tensors:
    """A layer that adds nothing."""
    size = stream.size
    shapes = {
        "attn.in_proj_weight": (3 * size, size),
        "attn.in_proj_bias": (3 * size,),
        "attn.out_proj.weight": (size, size),
        "attn.out_proj.bias": (size,),
        "mlp.c_fc.weight": (4 * size, size),
        "mlp.c_fc.bias": (4 * size,),
        "mlp.c_proj.weight": (size, 4 * size),
        "mlp.c_proj.bias": (size,),
    }
    made = {name: torch.zeros(shape) for name, shape in shapes.items()}
    return made | {f"{norm}.{kind}": torch.ones(size) for norm in ("ln_1", "ln_2") for kind in ("weight", "bias")}
