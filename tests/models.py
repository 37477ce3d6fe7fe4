"""Small models for tests: a UNet shaped like SDXL's, one like SD1.5's, and a job to refine."""

from __future__ import annotations

import torch
from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel

from tome_ext.embedded import shapes_model
from tome_ext.method.state import Step, Tokens

WIDTH = 24


def sdxl_unet(seed: int = 0) -> UNet2DConditionModel:
    """Depth 0, 1, 4 as SDXL's 0, 2, 10: the authors' three layers exist."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(8, 8, 16),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 4),
        attention_head_dim=(1, 2, 4),
        cross_attention_dim=WIDTH,
        use_linear_projection=True,
    )
    return livelier(unet)


def sd15_unet(seed: int = 0) -> UNet2DConditionModel:
    """One transformer block per attention, cross-attention on the upper levels."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(8, 8, 16),
        norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=2,
        cross_attention_dim=WIDTH,
    )
    return livelier(unet)


def livelier(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """Larger projections of text and queries, so that the attention maps are not flat."""
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "attn2.to_q" in name or "attn2.to_k" in name:
                parameter.mul_(4)
    return unet.eval()


def tokens_of(counts: list[int], length: int = 77, seed: int = 1, dtype: torch.dtype = torch.float32) -> Tokens:
    """Tokens of a batch in which image b has ``counts[b]`` objects, at positions 2, 5, 8 …"""
    generator = torch.Generator().manual_seed(seed)
    one = torch.randn(max(counts, default=0), length, WIDTH, generator=generator, dtype=torch.float64)
    context = torch.randn(len(counts), length, WIDTH, generator=generator, dtype=torch.float64)
    image = tuple(number for number, count in enumerate(counts) for _ in range(count))
    position = tuple(2 + 3 * k for count in counts for k in range(count))
    phrases = torch.cat([one[:count] for count in counts]) if any(counts) else one[:0]
    text = tuple(tuple(range(1, min(length, 77) - 1)) for _ in counts)
    return Tokens(context.to(dtype), image, position, phrases.to(dtype), text)


def step_of(unet, images: int, size=(16, 16), index=0, total=10, seed=2, predict=None, **more) -> Step:
    """A call of ``unet`` for ``images`` images at timestep 801, σ = 5."""
    parameter = next(unet.parameters())
    latents = torch.randn(images, 4, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def noise(x, context, rows):
        return unet(x.to(parameter.dtype), 801, context.to(parameter.dtype)).sample

    return Step(unet, latents.to(parameter.dtype), predict or noise, index, total, 5.0, **more)


def untrained_pipeline(seed: int = 0) -> StableDiffusionXLPipeline:
    """The embedded model before any training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first, second = shapes_model.text_encoders()
        return shapes_model.assemble(shapes_model.autoencoder(), first, second, shapes_model.unet())
