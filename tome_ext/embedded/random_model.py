"""Small pipelines with random weights, shaped like SDXL and SD1.5, built in a second without any download.

They run every part of the method on any computer, and their pictures are coloured noise.
"""

from __future__ import annotations

import gzip
import json
import math
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from tome_ext.tokens.vocabulary import BOS, CHUNK, EOT

_VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
_START, _END = "<|startoftext|>", "<|endoftext|>"
_MERGES = 49152 - 256 - 2


def random_pipeline(seed: int = 0) -> StableDiffusionXLPipeline:
    """An SDXL pipeline with random weights: the same for the same seed, wherever it is built.

    Two text encoders (32 and 64 channels, real vocabulary, the second with projection), a UNet with
    transformer blocks where the authors' attention layers are, 256×256 pixels by default.
    """
    with torch.random.fork_rng(devices=[]):  # the libraries draw weights of their own, which are replaced
        return _sdxl(torch.Generator().manual_seed(seed))


def _sdxl(generator: torch.Generator) -> StableDiffusionXLPipeline:
    return StableDiffusionXLPipeline(
        vae=_autoencoder(generator, scaling=0.13025),
        text_encoder=_filled(CLIPTextModel(_text_config(32, "quick_gelu")), generator),
        text_encoder_2=_filled(CLIPTextModelWithProjection(_text_config(64, "gelu")), generator),
        tokenizer=clip_tokenizer(pad=_END),
        tokenizer_2=clip_tokenizer(pad="!"),
        unet=_unet(
            generator,
            cross_attention_dim=96,
            attention_head_dim=[1, 2, 4],
            transformer_layers_per_block=[1, 1, 4],
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 64,
        ),
        scheduler=scheduler(),
        add_watermarker=False,
    )


def random_pipeline_sd15(seed: int = 0) -> StableDiffusionPipeline:
    """An SD1.5 pipeline with random weights and no safety checker: one text encoder (48 channels), 256×256 pixels."""
    with torch.random.fork_rng(devices=[]):
        return _sd15(torch.Generator().manual_seed(seed))


def _sd15(generator: torch.Generator) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=_autoencoder(generator, scaling=0.18215),
        text_encoder=_filled(CLIPTextModel(_text_config(48, "quick_gelu")), generator),
        tokenizer=clip_tokenizer(pad=_END),
        unet=_unet(
            generator,
            cross_attention_dim=48,
            attention_head_dim=4,
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        ),
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def clip_tokenizer(pad: str = _END) -> CLIPTokenizer:
    """CLIP's tokenizer with its real vocabulary of 49408 tokens; SDXL's second one pads with ``"!"`` (id 0)."""
    names, merges = vocabulary()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "vocab.json").write_text(json.dumps(names), encoding="utf-8")
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
        special = {"bos_token": _START, "eos_token": _END, "unk_token": _END, "pad_token": pad}
        config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": CHUNK, "do_lower_case": True, **special}
        (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
        tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(name, local_files_only=True)
    return tokenizer


def vocabulary() -> tuple[dict[str, int], list[str]]:
    """CLIP's tokens by name, and its merge rules in order, from the published list of merges."""
    packed = resources.files("tome_ext.embedded").joinpath(_VOCABULARY).read_bytes()
    merges = gzip.decompress(packed).decode("utf-8").split("\n")[1 : _MERGES + 1]
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = 256 - len(visible)
    # Bytes that do not print stand for characters from U+0100 on; the printing ones come first.
    letters = [chr(code) for code in visible] + [chr(256 + n) for n in range(others)]
    names = [*letters, *(letter + "</w>" for letter in letters), *("".join(rule.split()) for rule in merges)]
    return {name: number for number, name in enumerate([*names, _START, _END])}, merges


def _text_config(width: int, activation: str) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=CHUNK,
        hidden_act=activation,
        bos_token_id=BOS,
        eos_token_id=EOT,
        pad_token_id=EOT if activation == "quick_gelu" else 0,
    )


def _unet(generator: torch.Generator, **shape: Any) -> Any:
    common: dict[str, Any] = {"block_out_channels": (16, 32, 64), "layers_per_block": 2, "norm_num_groups": 8}
    unet = _filled(UNet2DConditionModel(sample_size=32, **common, **shape), generator)
    for name, parameter in unet.named_parameters():
        if ".attn2.to_out.0.weight" in name:
            parameter.data *= 3.0  # so that the prompt is seen in the picture
    return unet


def _autoencoder(generator: torch.Generator, scaling: float) -> AutoencoderKL:
    shape = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=256,
        scaling_factor=scaling,
        force_upcast=False,
    )
    vae: AutoencoderKL = _filled(shape, generator)
    return vae


def scheduler() -> Any:
    """The sampler and noise schedule of SDXL and SD1.5."""
    return EulerDiscreteScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1, timestep_spacing="leading"
    )


def _filled(module: Any, generator: torch.Generator) -> Any:
    """``module`` with our own random weights, which do not depend on the libraries' versions: unit gain, no biases."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim < 2:
                continue
            fan_in = parameter[0].numel()
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / math.sqrt(fan_in))
        for child in module.modules():
            if isinstance(child, torch.nn.Embedding):
                child.weight.copy_(torch.randn(child.weight.shape, generator=generator))
            elif getattr(child, "bias", None) is not None:
                child.bias.zero_()
    return module.eval().requires_grad_(False)
