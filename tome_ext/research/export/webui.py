"""Writing the export: a folder in diffusers' layout; a checkpoint, its yaml and its text encoder's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from tome_ext.embedded import shapes_model
from tome_ext.embedded.random_model import clip_tokenizer
from tome_ext.research.export import text
from tome_ext.research.export.autoencoder import widen_autoencoder
from tome_ext.research.export.names import autoencoder_name, unet_name
from tome_ext.research.export.unet import widen_unet
from tome_ext.research.export.widen import Tensors

UNET_TIMES = 32 // shapes_model.UNET_GROUPS
VAE_TIMES = 32 // shapes_model.VAE_GROUPS


def write_diffusers(pipe: Any, folder: Path) -> None:
    """The pipeline as a folder that diffusers loads."""
    pipe.save_pretrained(str(folder), safe_serialization=True)


def write_webui(pipe: Any, folder: Path, name: str = "shapes") -> Path:
    """Write ``name.safetensors``, ``name.yaml`` and ``name-clip/`` into ``folder``; returns the checkpoint's path.

    ``folder`` is the WebUI's for checkpoints (models/Stable-diffusion). The yaml names the folder of the text
    encoder's configuration by its full path: export anew rather than move it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clip = (folder / f"{name}-clip").resolve()
    _write_clip(pipe, clip)
    path = folder / f"{name}.safetensors"
    save_file({key: value.half().contiguous() for key, value in checkpoint(pipe).items()}, str(path))
    path.with_suffix(".yaml").write_text(configuration(clip, float(pipe.vae.config.scaling_factor)), encoding="utf-8")
    return path


def checkpoint(pipe: Any) -> Tensors:
    """All tensors by the WebUI's names."""
    unet = widen_unet(pipe.unet.state_dict(), UNET_TIMES, text.context_layout(), text.pooled_layout())
    vae = widen_autoencoder(pipe.vae.state_dict(), VAE_TIMES)
    named = {f"model.diffusion_model.{unet_name(key)}": value for key, value in unet.items()}
    for key, value in vae.items():
        attention = ".mid_block.attentions." in key and value.ndim == 2  # convolutions of one pixel there
        named[f"first_stage_model.{autoencoder_name(key)}"] = value[..., None, None] if attention else value
    first = text.first_encoder(pipe.text_encoder.state_dict())
    second = text.second_encoder(pipe.text_encoder_2.state_dict())
    named |= {f"conditioner.embedders.0.{key}": value for key, value in first.items()}
    named |= {f"conditioner.embedders.1.{key}": value for key, value in second.items()}
    return {key: value.detach().cpu() for key, value in named.items()}


def _write_clip(pipe: Any, folder: Path) -> None:
    """The first text encoder's configuration and the tokenizer, as transformers reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    clip_tokenizer().save_pretrained(str(folder))
    _write_vocabulary(folder)
    own = pipe.text_encoder.config.to_dict()
    kept = ["vocab_size", "hidden_size", "intermediate_size", "projection_dim", "num_hidden_layers", "hidden_act"]
    kept += ["num_attention_heads", "max_position_embeddings", "bos_token_id", "eos_token_id", "pad_token_id"]
    config = {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "torch_dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(config | {name: own[name] for name in kept}, indent=1))


def _write_vocabulary(folder: Path) -> None:
    """Vocabulary and merges as files of their own: older versions of transformers read nothing else."""
    from tome_ext.embedded.random_model import vocabulary

    names, merges = vocabulary()
    (folder / "vocab.json").write_text(json.dumps(names), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")


def configuration(clip: Path, scaling: float) -> str:
    """The yaml beside the checkpoint."""
    widths = shapes_model.UNET_WIDTHS
    model = widths[0] * UNET_TIMES
    size = "".join(
        _SIZE.format(key=key, width=shapes_model.TIME_WIDTH)
        for key in ("original_size_as_tuple", "crop_coords_top_left", "target_size_as_tuple")
    )
    vae = shapes_model.VAE_WIDTHS
    return _YAML.format(
        scaling=scaling,
        vector=text.OPEN_WIDTH + 6 * shapes_model.TIME_WIDTH,
        model=model,
        mult=json.dumps([width // widths[0] for width in widths]),
        head=shapes_model.HEAD_WIDTH * UNET_TIMES,
        context=text.context_layout().size,
        clip=json.dumps(str(clip)),
        layer=shapes_model.TEXT_LAYERS - 1,
        arch=text.OPEN_CLIP,
        sizes=size,
        vae=vae[0] * VAE_TIMES,
        vae_mult=json.dumps([width // vae[0] for width in vae]),
    )


_SIZE = """\
        - is_trainable: false
          input_key: {key}
          target: sgm.modules.encoders.modules.ConcatTimestepEmbedderND
          params: {{outdim: {width}}}
"""
_YAML = """\
model:
  target: sgm.models.diffusion.DiffusionEngine
  params:
    scale_factor: {scaling}
    disable_first_stage_autocast: true
    denoiser_config:
      target: sgm.modules.diffusionmodules.denoiser.DiscreteDenoiser
      params:
        num_idx: 1000
        weighting_config:
          target: sgm.modules.diffusionmodules.denoiser_weighting.EpsWeighting
        scaling_config:
          target: sgm.modules.diffusionmodules.denoiser_scaling.EpsScaling
        discretization_config:
          target: sgm.modules.diffusionmodules.discretizer.LegacyDDPMDiscretization
    network_config:
      target: sgm.modules.diffusionmodules.openaimodel.UNetModel
      params:
        adm_in_channels: {vector}
        num_classes: sequential
        use_checkpoint: true
        in_channels: 4
        out_channels: 4
        model_channels: {model}
        attention_resolutions: [4, 2]
        num_res_blocks: 2
        channel_mult: {mult}
        num_head_channels: {head}
        use_spatial_transformer: true
        use_linear_in_transformer: true
        transformer_depth: [0, 1, 1]
        context_dim: {context}
        spatial_transformer_attn_type: softmax-xformers
        legacy: false
    conditioner_config:
      target: sgm.modules.GeneralConditioner
      params:
        emb_models:
        - is_trainable: false
          input_key: txt
          target: sgm.modules.encoders.modules.FrozenCLIPEmbedder
          params: {{version: {clip}, layer: hidden, layer_idx: {layer}}}
        - is_trainable: false
          input_key: txt
          target: sgm.modules.encoders.modules.FrozenOpenCLIPEmbedder2
          params:
            arch: {arch}
            version: laion2b_s39b_b160k
            freeze: true
            layer: penultimate
            always_return_pooled: true
            legacy: false
{sizes}    first_stage_config:
      target: sgm.models.autoencoder.AutoencoderKLInferenceWrapper
      params:
        embed_dim: 4
        monitor: val/rec_loss
        ddconfig:
          attn_type: vanilla-xformers
          double_z: true
          z_channels: 4
          resolution: 256
          in_channels: 3
          out_ch: 3
          ch: {vae}
          ch_mult: {vae_mult}
          num_res_blocks: 1
          attn_resolutions: []
          dropout: 0.0
        lossconfig:
          target: torch.nn.Identity
"""
