"""Widening the UNet."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from tome_ext.embedded.shapes_model import HEAD_WIDTH, TIME_WIDTH
from tome_ext.research.export.widen import Layout, Tensors, names_under, put, put_norm, same


def widen_unet(source: Mapping[str, Tensor], times: int, context: Layout, pooled: Layout) -> Tensors:
    """The UNet's tensors, ``times`` as wide, by diffusers' names.

    ``context`` and ``pooled`` say where the text encoders' channels stand. Streams of the way down begin at the
    first channel, those of the way up end at the last: so, what is put side by side has its channels together, and
    with each level twice as wide as the one above, groups never straddle.
    """
    return _Widening(source, times, context).run(pooled)


class _Widening:
    def __init__(self, source: Mapping[str, Tensor], times: int, context: Layout) -> None:
        self.source, self.times, self.context = source, times, context
        self.wide: Tensors = {}
        self.time = self.first(source["time_embedding.linear_2.weight"].shape[0])

    def first(self, count: int) -> Layout:
        return Layout.at(0, count, count * self.times)

    def last(self, count: int) -> Layout:
        return Layout.at(count * (self.times - 1), count, count * self.times)

    def put(self, name: str, inner: Layout, out: Layout, scale: float = 1.0) -> None:
        put(self.wide, self.source, name, inner, out, scale)

    def run(self, pooled: Layout) -> Tensors:
        top = self.source["conv_in.weight"].shape[0]
        self.put("time_embedding.linear_1", self._sinusoid(top), self.time)
        self.put("time_embedding.linear_2", self.time, self.time)
        self.put("add_embedding.linear_1", pooled.then(same(6 * TIME_WIDTH)), self.time)
        self.put("add_embedding.linear_2", self.time, self.time)
        stream = self.first(top)
        self.put("conv_in", same(4), stream)
        skips = [stream]
        for block in names_under(self.source, "down_blocks"):
            stream = self._down(block, stream, skips)
        stream = self._resnet("mid_block.resnets.0", stream, up=False)
        self._transformer("mid_block.attentions.0", stream)
        stream = self._resnet("mid_block.resnets.1", stream, up=False)
        for block in names_under(self.source, "up_blocks"):
            stream = self._up(block, stream, skips)
        put_norm(self.wide, self.source, "conv_norm_out", stream)
        self.put("conv_out", stream, same(4))
        return self.wide

    def _sinusoid(self, count: int) -> Layout:
        """Cosines, then sines: the wide model has more frequencies, the narrow one's among them."""
        half = count // 2
        places = [n * self.times for n in range(half)]
        return Layout(count * self.times, (tuple(places + [half * self.times + place for place in places]),))

    def _down(self, block: str, stream: Layout, skips: list[Layout]) -> Layout:
        attentions = names_under(self.source, f"{block}.attentions")
        for number, resnet in enumerate(names_under(self.source, f"{block}.resnets")):
            stream = self._resnet(resnet, stream, up=False)
            if attentions:
                self._transformer(attentions[number], stream)
            skips.append(stream)
        for sampler in names_under(self.source, f"{block}.downsamplers"):
            self.put(f"{sampler}.conv", stream, stream)
            skips.append(stream)
        return stream

    def _up(self, block: str, stream: Layout, skips: list[Layout]) -> Layout:
        attentions = names_under(self.source, f"{block}.attentions")
        for number, resnet in enumerate(names_under(self.source, f"{block}.resnets")):
            stream = self._resnet(resnet, stream.then(skips.pop()), up=True)
            if attentions:
                self._transformer(attentions[number], stream)
        for sampler in names_under(self.source, f"{block}.upsamplers"):
            self.put(f"{sampler}.conv", stream, stream)
        return stream

    def _resnet(self, name: str, inner: Layout, *, up: bool) -> Layout:
        count = self.source[f"{name}.conv1.weight"].shape[0]
        out = self.last(count) if up else self.first(count)
        put_norm(self.wide, self.source, f"{name}.norm1", inner)
        self.put(f"{name}.conv1", inner, out)
        self.put(f"{name}.time_emb_proj", self.time, out)
        put_norm(self.wide, self.source, f"{name}.norm2", out)
        self.put(f"{name}.conv2", out, out)
        if f"{name}.conv_shortcut.weight" in self.source:
            self.put(f"{name}.conv_shortcut", inner, out)
        return out

    def _transformer(self, name: str, stream: Layout) -> None:
        count = self.source[f"{name}.proj_in.weight"].shape[0]
        inside = Layout.repeated(count, self.times)
        put_norm(self.wide, self.source, f"{name}.norm", stream)
        self.put(f"{name}.proj_in", stream, inside)
        for block in names_under(self.source, f"{name}.transformer_blocks"):
            for norm in ("norm1", "norm2", "norm3"):
                put_norm(self.wide, self.source, f"{block}.{norm}", inside)
            self._attention(f"{block}.attn1", inside, inside, count)
            self._attention(f"{block}.attn2", inside, self.context, count)
            hidden = self.source[f"{block}.ff.net.2.weight"].shape[1]
            half = self.first(hidden)
            self.put(f"{block}.ff.net.0.proj", inside, half.then(half))
            self.put(f"{block}.ff.net.2", half, inside)
        self.put(f"{name}.proj_out", inside, stream)

    def _attention(self, name: str, query: Layout, keys: Layout, count: int) -> None:
        """As many heads as before, each wider; queries make up for the smaller scale of wide heads."""
        heads = Layout.heads(count, HEAD_WIDTH, self.times)
        self.put(f"{name}.to_q", query, heads, math.sqrt(self.times))
        self.put(f"{name}.to_k", keys, heads)
        self.put(f"{name}.to_v", keys, heads)
        self.put(f"{name}.to_out.0", heads, query)
