"""Small checkpoints with random weights that the host recognises as a kind of model: few blocks, full text encoders."""

from pathlib import Path

import comfy.clip_model
import comfy.ldm.flux.model as flux
import comfy.ldm.modules.diffusionmodules.mmdit as mmdit
import comfy.ldm.modules.diffusionmodules.openaimodel as openaimodel
import comfy.ops
import comfy.sd1_clip
import comfy.supported_models
import comfy.text_encoders.sd2_clip
import folder_paths
import torch
from safetensors.torch import save_file

_BLOCKS = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "num_res_blocks": [1, 1],
    "channel_mult": [1, 1],
    "transformer_depth": [1, 1],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 1, 1, 1],
    "use_spatial_transformer": True,
    "legacy": False,
}
_UNETS = {
    "sd15": {"context_dim": 768, "num_heads": 8, "num_head_channels": -1},
    "sd2": {"context_dim": 1024, "num_heads": -1, "num_head_channels": 64, "use_linear_in_transformer": True},
}
_TEXTS = {
    "sd15": (comfy.sd1_clip.SDClipModel, "clip_l.", comfy.supported_models.SD15),
    "sd2": (comfy.text_encoders.sd2_clip.SD2ClipHModel, "clip_h.", comfy.supported_models.SD20),
    "sd3": (comfy.sd1_clip.SDClipModel, "text_encoders.clip_l.", None),
}
_FLUX = {
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": 2,
    "vec_in_dim": 768,
    "context_in_dim": 4096,
    "hidden_size": 3072,
    "mlp_ratio": 4.0,
    "num_heads": 24,
    "depth": 1,
    "depth_single_blocks": 1,
    "axes_dim": [16, 56, 56],
    "theta": 10000,
    "qkv_bias": True,
    "guidance_embed": False,
}


def write(kind):
    """Write ``models/checkpoints/random-KIND.safetensors``: "sd15", "sd2", "sd3", or "flux" without a text encoder."""
    torch.manual_seed(0)
    texts = {}
    if kind in _TEXTS:
        made, name, config = _TEXTS[kind]
        texts = {f"{name}{key}": value for key, value in _random(made()).items()}
        if config is not None:
            texts = config(_BLOCKS).process_clip_state_dict_for_saving(texts)
    operations = comfy.ops.disable_weight_init
    if kind == "flux":
        model = flux.Flux(**_FLUX, operations=operations)
    elif kind == "sd3":
        model = mmdit.OpenAISignatureMMDITWrapper(
            input_size=None,
            pos_embed_max_size=32,
            num_patches=1024,
            in_channels=16,
            depth=2,
            adm_in_channels=2048,
            context_embedder_config={"target": "torch.nn.Linear", "params": {"in_features": 4096, "out_features": 128}},
            pos_embed_scaling_factor=None,
            operations=operations,
        )
    else:
        model = openaimodel.UNetModel(**_BLOCKS, **_UNETS[kind], operations=operations)
    tensors = {**{f"model.diffusion_model.{key}": value for key, value in _random(model).items()}, **texts}
    path = Path(folder_paths.get_folder_paths("checkpoints")[0]) / f"random-{kind}.safetensors"
    save_file({key: value.contiguous() for key, value in tensors.items()}, str(path))
    return path.name


def _random(model):
    """The weights of a model: small random numbers, and ones where a norm multiplies."""
    out = {}
    for name, value in model.state_dict().items():
        if not value.dtype.is_floating_point:
            continue
        norm = value.ndim == 1 and name.endswith(("weight", "scale"))
        out[name] = torch.ones(value.shape) if norm else torch.randn(value.shape) * 0.02
    return {name: value.half() for name, value in out.items()}
