"""The patcher that hosts of the Forge family keep their UNet in, and what others hang on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tome_ext.hosts.common.passes import has_functions
from tome_ext.method.layers import cross_attention_layers


def unet_of(model: Any) -> nn.Module | None:
    """The UNet in a model's patcher; None where what is there is no UNet with cross-attention layers."""
    objects = getattr(model, "forge_objects", None)
    network = getattr(getattr(getattr(objects, "unet", None), "model", None), "diffusion_model", None)
    return network if isinstance(network, nn.Module) and cross_attention_layers(network) else None


def flow_matching(model: Any) -> bool:
    """Whether the host's model gives its UNet latents (1 − σ)·x0 + σ·ε, and not (x0 + σ·ε)/√(1 + σ²)."""
    prediction = getattr(model, "predictor", None) or getattr(model, "model_sampling", None)
    scaling = getattr(prediction, "calculate_input", None)
    if scaling is None:
        return False
    scale: float = float(scaling(torch.ones(1), torch.ones(1, 1, 1, 1)))
    return bool(abs(scale - 0.5**0.5) > 1e-3)


def texts_by_region(patcher: Any) -> bool:
    """Whether forge-couple puts regions' own texts in place of the call's, in every layer that looks at the text."""
    patches = (patcher.model_options.get("transformer_options") or {}).get("patches") or {}
    return any(
        getattr(one, "__module__", "") == "lib_couple.attention_couple" for one in patches.get("attn2_patch", ())
    )


def options_of_pass(patcher: Any, sigma: Tensor) -> dict[str, Any]:
    """What the UNet and other extensions' patches are told of a pass: all rows are of the positive prompt."""
    rows = len(sigma)
    told: dict[str, Any] = {
        "cond_or_uncond": [0],
        "sigmas": sigma,
        "cond_mark": torch.zeros(rows).to(sigma),
        "cond_indices": list(range(rows)),
        "uncond_indices": [],
    }
    return {**patcher.model_options.get("transformer_options", {}), **told}


def patched(patcher: Any) -> bool:
    """Whether hidden states may be changed in place: by others' functions, or by a ControlNet, which is added so.

    Noise levels and other values in the options change nothing.
    """
    return patcher.controlnet_linked_list is not None or has_functions(patcher.model_options.get("transformer_options"))


class _Patched:
    """A patcher with other options for one call, and in all else the one it stands for."""

    def __init__(self, patcher: Any, options: dict[str, Any]) -> None:
        self.stands_for, self.model_options = patcher, options

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stands_for, name)


def predict_elsewhere(objects: Any, given: Tensor, moved: Tensor) -> None:
    """Let the model call at ``given`` predict at ``moved``: the sampler gets x0' + (x − x'), the noise of x'.

    ``objects`` holds the patcher. It is told by a stand-in for the patcher, which ends with the call; after a failure
    with the host's own renewal of its patchers before each sampling pass.
    """
    patcher = objects.unet.stands_for if isinstance(objects.unet, _Patched) else objects.unet
    elsewhere = False

    def move(model: Any, x: Tensor, *rest: Any) -> tuple[Any, ...]:
        nonlocal elsewhere
        elsewhere = x is given
        return (model, moved.to(x) if elsewhere else x, *rest)

    def undo(call: Mapping[str, Any]) -> Tensor:
        if isinstance(objects.unet, _Patched) and objects.unet.stands_for is patcher:
            objects.unet = patcher
        denoised: Tensor = call["denoised"]
        return denoised + (given - moved).to(denoised) if elsewhere else denoised

    options = dict(patcher.model_options)
    options["conditioning_modifiers"] = [move, *options.get("conditioning_modifiers", [])]
    options["sampler_post_cfg_function"] = [*options.get("sampler_post_cfg_function", []), undo]
    objects.unet = _Patched(patcher, options)
