"""The miniature: SDXL's structure for pictures of 48×24, with latents of a quarter of that and wide text encoders.

Two causal text encoders of CLIP's structure (96 and 160 channels, penultimate states side by side), pooled and size
conditioning, a UNet of two levels whose cross-attention sees the latent's full 12×6 pixels, an autoencoder that
reduces four times to four channels.
"""

from __future__ import annotations

from typing import Any

from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from tome_ext.embedded.shapes_model import assemble
from tome_ext.research.miniature.world.things import HEIGHT, WIDTH
from tome_ext.tokens.vocabulary import CHUNK, EOT

REDUCTION = 4
LATENT = (HEIGHT // REDUCTION, WIDTH // REDUCTION)
TEXT_WIDTHS, TEXT_LAYERS, TEXT_HEADS = (96, 160), 3, 4
CONTEXT = sum(TEXT_WIDTHS)
UNET_WIDTHS, UNET_GROUPS, HEAD_WIDTH = (48, 96), 8, 16
VAE_WIDTHS, VAE_GROUPS = (8, 16, 32), 2
TIME_WIDTH = 16  # of each of the six sizes
SIZES = (float(HEIGHT), float(WIDTH), 0.0, 0.0, float(HEIGHT), float(WIDTH))
VOCABULARY, END = EOT + 1, EOT


def text_encoders(vocabulary: int = VOCABULARY, end: int = END, pad: int = 0) -> tuple[Any, Any]:
    """Both text encoders, untrained; ``vocabulary``: how many tokens they know, with the EOT's and padding's ids."""
    first = _text_config(TEXT_WIDTHS[0], "quick_gelu", vocabulary, end, end)
    second = _text_config(TEXT_WIDTHS[1], "gelu", vocabulary, end, pad)
    return CLIPTextModel(first), CLIPTextModelWithProjection(second)


def unet() -> Any:
    """The UNet, untrained. Its middle has no cross-attention: all of that is as fine as the latent."""
    return UNet2DConditionModel(
        sample_size=LATENT,
        block_out_channels=UNET_WIDTHS,
        norm_num_groups=UNET_GROUPS,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        mid_block_type="UNetMidBlock2D",
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        transformer_layers_per_block=1,
        attention_head_dim=tuple(width // HEAD_WIDTH for width in UNET_WIDTHS),  # the library means their number
        cross_attention_dim=CONTEXT,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=TIME_WIDTH,
        projection_class_embeddings_input_dim=6 * TIME_WIDTH + TEXT_WIDTHS[1],
    )


def autoencoder(scaling: float = 1.0) -> Any:
    """The autoencoder, untrained; ``scaling`` brings its latents to unit variance."""
    levels = len(VAE_WIDTHS)
    return AutoencoderKL(
        block_out_channels=VAE_WIDTHS,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=1,
        norm_num_groups=VAE_GROUPS,
        sample_size=WIDTH,
        scaling_factor=scaling,
        force_upcast=False,
    )


def pipeline(vae: Any, text_encoder: Any, text_encoder_2: Any, unet: Any) -> StableDiffusionXLPipeline:
    """A pipeline of the trained parts."""
    return assemble(vae, text_encoder, text_encoder_2, unet)


def _text_config(width: int, activation: str, vocabulary: int, end: int, pad: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=4 * width,
        projection_dim=width,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=TEXT_HEADS,
        max_position_embeddings=CHUNK,
        hidden_act=activation,
        bos_token_id=0,
        eos_token_id=end,
        pad_token_id=pad,
    )
