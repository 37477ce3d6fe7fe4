"""Which host this is, by what the loaded model can do and not by name or version."""

from __future__ import annotations

from typing import Any

from tome_ext.hosts.webui.backends.tokenizers import engine_tokenizer, stage_tokenizer
from tome_ext.hosts.webui.protocol import Host


def host_for(model: Any) -> Host:
    """The host that has loaded ``model``.

    A UNet in a patcher (``forge_objects``) means sampling as in Forge. There texts go through engines of the model's
    own, as on Forge and Forge Neo, or through AUTOMATIC1111's text encoders, as on reForge and Forge Classic. Without a
    patcher it is AUTOMATIC1111.
    """
    if not hasattr(model, "forge_objects"):
        from tome_ext.hosts.webui.backends.a1111 import A1111

        return A1111()
    if engine_tokenizer(model) is None and stage_tokenizer(model) is not None:
        from tome_ext.hosts.webui.backends.reforge import ReForge

        return ReForge()
    from tome_ext.hosts.webui.backends.forge import Forge

    return Forge()
