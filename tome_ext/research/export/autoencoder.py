"""Widening the autoencoder."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from tome_ext.research.export.widen import Layout, Tensors, matrix, put, put_norm, same, vector

_ENDS = ("encoder.conv_out", "decoder.conv_out")
_STARTS = ("encoder.conv_in", "decoder.conv_in")
_LATENT = ("quant_conv", "post_quant_conv")


def widen_autoencoder(source: Mapping[str, Tensor], times: int) -> Tensors:
    """The autoencoder's tensors, ``times`` as wide, by diffusers' names; real channels come first."""
    wide: Tensors = {}
    for name in dict.fromkeys(key.rsplit(".", 1)[0] for key in source):
        weight = source[f"{name}.weight"]
        out = _first(len(weight), times)
        if name.startswith(_LATENT):
            wide |= {f"{name}.{kind}": source[f"{name}.{kind}"] for kind in ("weight", "bias")}
        elif weight.ndim == 1:
            put_norm(wide, source, name, out)
        elif name.endswith(("to_q", "to_k", "to_v")):
            scale = math.sqrt(times) if name.endswith("to_q") else 1.0
            wide[f"{name}.weight"] = matrix(weight, out, out, scale)
            wide[f"{name}.bias"] = vector(source[f"{name}.bias"], out, scale)
        else:
            inner = same(weight.shape[1]) if name in _STARTS else _first(weight.shape[1], times)
            put(wide, source, name, inner, same(len(weight)) if name in _ENDS else out)
    return wide


def _first(count: int, times: int) -> Layout:
    return Layout.at(0, count, count * times)
