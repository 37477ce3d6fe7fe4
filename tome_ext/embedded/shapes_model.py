"""The embedded model: SDXL's structure at a size that fits into a repository, trained on synthetic scenes.

Two causal text encoders (64 and 128 channels, CLIP's vocabulary, penultimate states side by side), pooled and size
conditioning, a UNet of 32, 64 and 128 channels with cross-attention on the two lower levels, an autoencoder that
reduces eight times. Every group normalisation has groups of at least four channels; with less, colours tint.

WebUIs always have 32 groups. The export gets there by channels of zeros (``tome_ext/evidence/export``), which needs
each level of the UNet to be twice as wide as the one above it.
"""

from __future__ import annotations

from typing import Any

from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from tome_ext.embedded.random_model import clip_tokenizer
from tome_ext.embedded.random_model import scheduler as scheduler
from tome_ext.tokens.vocabulary import BOS, CHUNK, EOT

SIZE = 192  # pixels, square
UNET_GROUPS, VAE_GROUPS = 8, 4
UNET_WIDTHS, VAE_WIDTHS = (32, 64, 128), (16, 32, 64, 64)
HEAD_WIDTH = 16
TEXT_WIDTHS, TEXT_LAYERS, TEXT_HEADS = (64, 128), 3, 4
TIME_WIDTH = 16  # of each of the six sizes


def text_encoders() -> tuple[Any, Any]:
    """Both text encoders, with the libraries' random weights."""
    first = CLIPTextModel(_text_config(TEXT_WIDTHS[0], "quick_gelu", EOT))
    return first, CLIPTextModelWithProjection(_text_config(TEXT_WIDTHS[1], "gelu", 0))


def unet() -> Any:
    """The UNet, with the library's random weights."""
    return UNet2DConditionModel(
        sample_size=SIZE // 8,
        block_out_channels=UNET_WIDTHS,
        norm_num_groups=UNET_GROUPS,
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=1,
        attention_head_dim=tuple(width // HEAD_WIDTH for width in UNET_WIDTHS),  # the library means their number
        cross_attention_dim=sum(TEXT_WIDTHS),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=TIME_WIDTH,
        projection_class_embeddings_input_dim=6 * TIME_WIDTH + TEXT_WIDTHS[1],
    )


def autoencoder(scaling: float = 1.0) -> Any:
    """The autoencoder: SDXL's at an eighth of its width; ``scaling`` brings its latents to unit variance."""
    return AutoencoderKL(
        block_out_channels=VAE_WIDTHS,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=VAE_GROUPS,
        sample_size=SIZE,
        scaling_factor=scaling,
        force_upcast=False,
    )


def assemble(vae: Any, text_encoder: Any, text_encoder_2: Any, unet: Any) -> StableDiffusionXLPipeline:
    """A pipeline of the trained parts."""
    for part in (vae, text_encoder, text_encoder_2, unet):
        part.eval().requires_grad_(False)
    return StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=text_encoder,
        text_encoder_2=text_encoder_2,
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(pad="!"),
        unet=unet,
        scheduler=scheduler(),
        add_watermarker=False,
    )


def _text_config(width: int, activation: str, pad: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=4 * width,
        projection_dim=width,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=TEXT_HEADS,
        max_position_embeddings=CHUNK,
        hidden_act=activation,
        bos_token_id=BOS,
        eos_token_id=EOT,
        pad_token_id=pad,
    )
