"""stable-diffusion-webui-reForge and Forge Classic as hosts. Import only where they run.

They sample as Forge does and encode texts as AUTOMATIC1111 does.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from modules import shared
from torch import Tensor

from tome_ext.hosts.webui.backends.a1111_text import A1111TextEncoder
from tome_ext.hosts.webui.backends.forge import Forge, ForgeCall
from tome_ext.hosts.webui.protocol import Call, Encoding


class ReForge(Forge):
    """The running reForge."""

    def encoder(self, p: Any, second: bool) -> A1111TextEncoder:
        """The text encoders of the loaded model, for the size of the pass."""
        size = (p.hr_upscale_to_x, p.hr_upscale_to_y) if second else (p.width, p.height)
        return ReForgeTextEncoder(shared.sd_model, *size)

    def call(self, params: Any) -> Call:
        """The model call of ``CFGDenoiserParams``."""
        return ReForgeCall(params)


class ReForgeTextEncoder(A1111TextEncoder):
    """The text encoders of a model of reForge, for an image size."""

    def _encode(self, text: str, *, negative: bool) -> Encoding:
        # In the mode in which the host encodes; what is cloned outside it may take part in a gradient.
        with torch.inference_mode():
            made = super()._encode(text, negative=negative)
        return Encoding(made.tokens.clone(), None if made.vector is None else made.vector.clone())


class ReForgeCall(ForgeCall):
    """A model call; ControlNet is told more than on Forge, where the host's own does so."""

    def _get_control(self, control: Any, x: Tensor, sigma: Tensor, given: dict[str, Any], options: Any) -> Any:
        more = [options] if "transformer_options" in inspect.signature(control.get_control).parameters else []
        return control.get_control(x, sigma, given, 1, *more)
