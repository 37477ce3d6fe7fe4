"""The miniature's one file: half precision, and of the token embeddings only the rows of words that captions hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from diffusers import StableDiffusionXLPipeline
from safetensors import safe_open
from safetensors.torch import load_file

from tome_ext.embedded import shapes_file
from tome_ext.research.miniature import model
from tome_ext.research.miniature.world.captions import vocabulary


def write_model(path: Path, *parts: Any, recipe: str = "{}") -> None:
    """Write autoencoder, both text encoders and UNet, in this order; ``recipe`` says how they were made."""
    shapes_file.write_model(path, *parts, words=vocabulary(), recipe=recipe)


def read_model(path: Path) -> StableDiffusionXLPipeline:
    """The pipeline of a file of :func:`write_model`, in single precision. ValueError where a tensor is missing."""
    with safe_open(str(path), framework="pt") as file:
        scaling = json.loads(file.metadata()["scaling"])
    tensors = {shapes_file._plain(key): value for key, value in load_file(str(path)).items()}
    first, second = model.text_encoders()
    parts = (model.autoencoder(scaling), first, second, model.unet())
    for name, part in zip(shapes_file.PARTS, parts, strict=True):
        shapes_file._fill(part, name, tensors)
    return model.pipeline(*parts)
