"""A small UNet with the module names of ldm and sgm, and the habits of the WebUI family that matter here."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class CrossAttention(nn.Module):
    def __init__(self, width: int, context: int, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context, width, bias=False)
        self.to_v = nn.Linear(context, width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width), nn.Dropout(0.0))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        context = x if context is None else context
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.to_q(x), self.to_k(context), self.to_v(context))
        )
        return self.to_out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class BasicTransformerBlock(nn.Module):
    """Adds its residuals in place and counts its calls in the options, as Forge does."""

    def __init__(self, width: int, context: int, in_place: bool) -> None:
        super().__init__()
        self.in_place = in_place
        self.attn1, self.attn2 = CrossAttention(width, width), CrossAttention(width, context)
        self.ff = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, context: Tensor | None = None, transformer_options: dict | None = None) -> Tensor:
        options = {} if transformer_options is None else transformer_options
        x = x * (1 + 0.1 * options.get("block", 0))
        options["block"] = options.get("block", 0) + 1
        x = self._add(x, self.attn1(self.norm1(x)))
        x = self._add(x, self.attn2(self.norm2(x), context))
        return self._add(x, self.ff(self.norm3(x)))

    def _add(self, x: Tensor, more: Tensor) -> Tensor:
        if self.in_place:
            x += more
            return x
        return x + more


class SpatialTransformer(nn.Module):
    def __init__(self, width: int, context: int, depth: int, in_place: bool) -> None:
        super().__init__()
        blocks = [BasicTransformerBlock(width, context, in_place) for _ in range(depth)]
        self.transformer_blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, context: Tensor, options: dict) -> Tensor:
        rows = x.flatten(2).transpose(1, 2)
        for block in self.transformer_blocks:
            rows = block.forward(rows, context=context, transformer_options=options)  # not through __call__
        return x + rows.transpose(1, 2).unflatten(2, x.shape[-2:])


class ResBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(4, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(width, width))
        self.out_layers = nn.Sequential(nn.GroupNorm(4, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        return x + self.out_layers(self.in_layers(x) + self.emb_layers(emb)[..., None, None])


class LdmUNet(nn.Module):
    """One level: latents [B, 4, h, w] and context [B, T, D] to noise [B, 4, h, w]."""

    num_res_blocks = 1
    channel_mult = (1,)

    def __init__(self, width: int = 16, context: int = 24, depth: int = 2, in_place: bool = False) -> None:
        super().__init__()

        def pair() -> nn.ModuleList:
            return nn.ModuleList([ResBlock(width), SpatialTransformer(width, context, depth, in_place)])

        self.input_blocks = nn.ModuleList([nn.ModuleList([nn.Conv2d(4, width, 3, padding=1)]), pair()])
        self.middle_block = pair()
        self.output_blocks = nn.ModuleList([pair(), pair()])
        self.out = nn.Conv2d(width, 4, 3, padding=1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        h = self.input_blocks[0][0](x)
        emb = torch.ones(len(x), h.shape[1], dtype=h.dtype)
        options: dict = {}
        for resnet, transformer in (self.input_blocks[1], self.middle_block, *self.output_blocks):
            h = transformer(resnet(h, emb), context, options)
        return self.out(h)
