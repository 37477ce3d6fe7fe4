"""The embedded model's one file: half precision, and of the token embeddings only the rows of words that occur.

All other tokens share one row, the mean; they would be untrained anyway.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionXLPipeline
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from tome_ext.embedded import shapes_model
from tome_ext.embedded.random_model import clip_tokenizer

FILE = "shapes.safetensors"
PARTS = ("vae", "text_encoder", "text_encoder_2", "unet")
_TABLE = "embeddings.token_embedding.weight"
_POSITIONS = "position_ids"  # counted, not learnt


def shapes_pipeline() -> StableDiffusionXLPipeline:
    """The trained model as it comes with the project."""
    with resources.as_file(resources.files("tome_ext.embedded").joinpath(FILE)) as own:
        return read_model(own)


def write_model(path: Path, *parts: Any, words: Sequence[str], recipe: str = "{}") -> None:
    """Write autoencoder, both text encoders and UNet, in this order; ``recipe`` says how they were made.

    ``words``: whose token embeddings are kept, those of the training captions.
    """
    used = _used_tokens(words)
    tensors: dict[str, Tensor] = {"tokens": torch.tensor(used)}
    for name, part in zip(PARTS, parts, strict=True):
        for key, value in part.state_dict().items():
            if key.endswith(_TABLE):
                rest = value.float().mean(0, keepdim=True)
                value = torch.cat([value[used], rest.to(value)])
            if not key.endswith(_POSITIONS):
                tensors[f"{name}.{key}"] = value.detach().half().contiguous()
    scaling = json.dumps(float(parts[0].config.scaling_factor))
    save_file(tensors, str(path), metadata={"format": "pt", "recipe": recipe, "scaling": scaling})


def read_model(path: Path) -> StableDiffusionXLPipeline:
    """The pipeline of a file of :func:`write_model`, in single precision. ValueError where a tensor is missing."""
    with safe_open(str(path), framework="pt") as file:
        scaling = json.loads(file.metadata()["scaling"])
    tensors = {_plain(key): value for key, value in load_file(str(path)).items()}
    first, second = shapes_model.text_encoders()
    parts = (shapes_model.autoencoder(scaling), first, second, shapes_model.unet())
    for name, part in zip(PARTS, parts, strict=True):
        _fill(part, name, tensors)
    return shapes_model.assemble(*parts)


def _fill(part: Any, name: str, tensors: Mapping[str, Tensor]) -> None:
    state = {}
    for key, own in part.state_dict().items():
        if key.endswith(_POSITIONS):
            state[key] = own
            continue
        value = tensors.get(_plain(f"{name}.{key}"))
        if value is None:
            raise ValueError(f"the model's file has no tensor {name}.{key}")
        if key.endswith(_TABLE):
            table = value[-1:].repeat(len(own), 1)
            table[tensors["tokens"]] = value[:-1]
            value = table
        state[key] = value.to(own.dtype)
    part.load_state_dict(state)


def _plain(key: str) -> str:
    """A tensor's name without the part that only some versions of the library put before a text encoder's."""
    return key.replace(".text_model.", ".")


def _used_tokens(words: Sequence[str]) -> list[int]:
    tokenizer = clip_tokenizer()
    ids = {token for word in words for token in tokenizer(word, add_special_tokens=False).input_ids}
    return sorted({*ids, tokenizer.bos_token_id, tokenizer.eos_token_id, 0})
