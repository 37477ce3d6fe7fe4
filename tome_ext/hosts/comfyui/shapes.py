"""The embedded model in ComfyUI's own classes: SDXL's structure with other widths and numbers of groups."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import comfy.ldm.modules.diffusionmodules.model as autoencoder
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.ops
import comfy.sd
import comfy.sdxl_clip
import comfy.supported_models
import comfy.supported_models_base
import comfy.utils
import folder_paths
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import Timestep
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

_WIDTH, _LEVELS, _HEAD = 32, [1, 2, 4], 16
_UNET_GROUPS, _VAE_GROUPS = 8, 4
_TEXT = {"clip_l": ("text_encoder", 64), "clip_g": ("text_encoder_2", 128)}
_TEXT_LAYERS, _TEXT_HEADS, _TOKENS = 3, 4, 49408
_SIZE_WIDTH = 16  # of each of SDXL's six sizes
_TABLE = "embeddings.token_embedding.weight"

_UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": _WIDTH,
    "num_res_blocks": [2, 2, 2],
    "channel_mult": _LEVELS,
    "transformer_depth": [0, 0, 1, 1, 1, 1],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [0, 0, 0, 1, 1, 1, 1, 1, 1],
    "context_dim": 192,
    "adm_in_channels": 6 * _SIZE_WIDTH + 128,
    "num_classes": "sequential",
    "use_linear_in_transformer": True,
    "use_spatial_transformer": True,
    "num_heads": -1,
    "num_head_channels": _HEAD,
    "use_temporal_attention": False,
    "legacy": False,
    "dtype": torch.float32,
}
_VAE = {
    "double_z": True,
    "z_channels": 4,
    "resolution": 256,
    "in_channels": 3,
    "out_ch": 3,
    "ch": 16,
    "ch_mult": [1, 2, 4, 4],
    "num_res_blocks": 1,
    "attn_resolutions": [],
    "dropout": 0.0,
}


def load_shapes() -> tuple[Any, Any, Any]:
    """The embedded model as a model, a CLIP and a VAE of ComfyUI."""
    with resources.as_file(resources.files("tome_ext.embedded").joinpath("shapes.safetensors")) as path:
        tensors = {name: value.float() for name, value in load_file(str(path)).items()}
        with safe_open(str(path), framework="pt") as file:
            scaling = float(json.loads(file.metadata()["scaling"]))
    return _model(_part(tensors, "unet"), scaling), _clip(tensors), _vae(_part(tensors, "vae"))


def _part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def _model(unet: Mapping[str, Tensor], scaling: float) -> Any:
    config = comfy.supported_models.SDXL(dict(_UNET))
    config.unet_config["num_head_channels"] = _HEAD
    config.latent_format.scale_factor = scaling
    config.set_inference_dtype(torch.float32, None)
    made = comfy.model_base.SDXL(config, device=torch.device("cpu"))
    made.embedder = Timestep(_SIZE_WIDTH)
    for module in made.diffusion_model.modules():
        if isinstance(module, torch.nn.GroupNorm):
            module.num_groups = _UNET_GROUPS
    names = comfy.utils.unet_to_diffusers(_UNET)
    made.diffusion_model.load_state_dict({names[name]: value for name, value in unet.items()})
    return comfy.model_patcher.ModelPatcher(
        made,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


def _clip(tensors: Mapping[str, Tensor]) -> Any:
    target = comfy.supported_models_base.ClipTarget(comfy.sdxl_clip.SDXLTokenizer, comfy.sdxl_clip.SDXLClipModel)
    made = comfy.sd.CLIP(
        target,
        embedding_directory=folder_paths.get_folder_paths("embeddings"),
        parameters=1,
        model_options={
            "dtype": torch.float32,
            **{f"{name}_model_config": _text_config(width) for name, (_, width) in _TEXT.items()},
        },
    )
    for name, (part, width) in _TEXT.items():
        state = {_plain(key): value for key, value in _part(tensors, part).items()}
        state[f"text_model.{_TABLE}"] = _table(state[f"text_model.{_TABLE}"], tensors["tokens"])
        state.setdefault("text_projection.weight", torch.eye(width))
        getattr(made.cond_stage_model, name).transformer.load_state_dict(state)
    return made


def _text_config(width: int) -> dict[str, int]:
    return {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_attention_heads": _TEXT_HEADS,
        "num_hidden_layers": _TEXT_LAYERS,
    }


def _plain(key: str) -> str:
    """The host's name for a text encoder's tensor; some versions of transformers leave ``text_model`` out."""
    return key if key.startswith(("text_model.", "text_projection")) else f"text_model.{key}"


def _table(rows: Tensor, tokens: Tensor) -> Tensor:
    """The token embeddings: the file has those of words that occur, and one for all others."""
    table = rows[-1:].repeat(_TOKENS, 1)
    table[tokens.long()] = rows[:-1]
    return table


def _vae(state: dict[str, Tensor]) -> Any:
    with _groups_of_the_autoencoder():
        return comfy.sd.VAE(sd=state, config={"params": {"ddconfig": dict(_VAE), "embed_dim": 4}}, dtype=torch.float32)


class _Operations(comfy.ops.disable_weight_init):  # type: ignore[misc]
    """The host's operations; it builds autoencoders with 32 groups, more than this one has channels."""

    class GroupNorm(comfy.ops.disable_weight_init.GroupNorm):  # type: ignore[misc]
        """With the embedded autoencoder's groups."""

        def __init__(self, num_groups: int, *args: Any, **more: Any) -> None:
            super().__init__(_VAE_GROUPS, *args, **more)


@contextlib.contextmanager
def _groups_of_the_autoencoder() -> Iterator[None]:
    before = autoencoder.ops
    autoencoder.ops = _Operations
    try:
        yield
    finally:
        autoencoder.ops = before
