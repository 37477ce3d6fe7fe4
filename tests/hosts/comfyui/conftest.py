"""A running ComfyUI, one for all tests, with a LoRA and an embedding of the embedded model's size."""

from __future__ import annotations

import os

import pytest
import torch
from safetensors.torch import save_file

from tests.hosts.comfyui.server import RunningComfyUI

_UNET_LAYERS = {
    "output_blocks.1.1.transformer_blocks.0.attn2": 128,
    "output_blocks.4.1.transformer_blocks.0.attn2": 64,
    "middle_block.1.transformer_blocks.0.attn2": 128,
}


@pytest.fixture(scope="session")
def comfy(tmp_path_factory):
    if "COMFYUI_DIR" not in os.environ:
        pytest.skip("needs a real ComfyUI: set COMFYUI_DIR")
    data = tmp_path_factory.mktemp("comfyui")
    running = RunningComfyUI(data)
    generator = torch.Generator().manual_seed(0)

    def pair(name, out, into):
        up, down = (torch.randn(*size, generator=generator) for size in ((out, 4), (4, into)))
        return {f"{name}.lora_up.weight": up * 0.2, f"{name}.lora_down.weight": down * 0.2}

    lora = {}
    for layer, width in _UNET_LAYERS.items():
        for part in ("to_k", "to_v"):
            lora |= pair(f"diffusion_model.{layer}.{part}", width, 192)
    lora |= pair("lora_te1_text_model_encoder_layers_0_self_attn_v_proj", 64, 64)
    save_file(lora, str(data / "models" / "loras" / "small.safetensors"))
    yield running
    running.stop()
