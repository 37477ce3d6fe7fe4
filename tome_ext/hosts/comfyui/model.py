"""A model of ComfyUI with ToMe in its sampling: whether that is possible, and how it is put there."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import comfy.model_management
import comfy.patcher_extension
import torch

from tome_ext.hosts.comfyui.bound import KEY, Bound
from tome_ext.hosts.comfyui.call import flow_matching
from tome_ext.hosts.comfyui.report import RunReport
from tome_ext.hosts.comfyui.sampling import Refinement, Tell
from tome_ext.method.backward.memory import pass_bytes
from tome_ext.method.layers import cross_attention_layers
from tome_ext.method.window import reduced_side
from tome_ext.settings import Settings


def obstacle(model: Any) -> str:
    """Why no text of this model can be refined; empty where it can."""
    unet = model.model.diffusion_model
    layers = isinstance(unet, torch.nn.Module) and cross_attention_layers(unet)
    if not layers:
        return (
            f"{type(model.model).__name__} has no UNet with cross-attention; ToMe is for Stable Diffusion 1.5, 2 and XL"
        )
    if flow_matching(model.model):
        return "this is a flow-matching model, whose noise the losses do not fit"
    return ""


def refined(model: Any, report: RunReport, tell: Tell, *, maps: bool) -> Any:
    """A clone of the model whose sampling runs refine what *ToMe Text Encode* made."""
    # Newer versions page weights in and out beneath autograd, and offer this for whoever needs gradients.
    dynamic = "disable_dynamic" in inspect.signature(model.clone).parameters
    made = model.clone(disable_dynamic=True) if dynamic else model.clone()
    refinement = Refinement(report, tell, maps=maps)
    kinds = comfy.patcher_extension.WrappersMP
    for kind, wrapper in (
        (kinds.PREPARE_SAMPLING, prepare_sampling),
        (kinds.OUTER_SAMPLE, refinement.outer_sample),
        (kinds.PREDICT_NOISE, refinement.predict_noise),
        (kinds.CALC_COND_BATCH, refinement.calc_cond_batch),
    ):
        made.remove_wrappers_with_key(kind, KEY)
        made.add_wrapper_with_key(kind, KEY, wrapper)
    return made


def prepare_sampling(executor: Any, model: Any, noise_shape: Any, conds: Any, *rest: Any, **more: Any) -> Any:
    """Have the host leave the memory free that one row's backward pass needs: it plans for inference alone.

    It asks for as much as its own estimate is for more images; nothing else is made of the shape.
    """
    shape = noise_shape
    needed = _backward_bytes(model, noise_shape, conds)
    if needed and comfy.model_management.get_torch_device().type != "cpu":
        one = float(model.model.memory_required([1, *noise_shape[1:]]))
        shape = [noise_shape[0] + math.ceil(needed / max(one, 1.0)), *noise_shape[1:]]
    return executor(model, shape, conds, *rest, **more)


def _backward_bytes(model: Any, noise_shape: Any, conds: Mapping[str, Any]) -> float:
    """About how many bytes autograd saves for one row of the UNet, the most of all conditionings."""
    bound = [cond.get(KEY) for group in conds.values() for cond in group or ()]
    settings = [one.settings for one in bound if isinstance(one, Bound) and one.prompt.located.groups]
    return max((_row_bytes(model, noise_shape, one) for one in settings if one.refines), default=0.0)


def _row_bytes(model: Any, noise_shape: Any, settings: Settings) -> float:
    sides = (reduced_side(size, settings.resolution) for size in noise_shape[-2:])
    return pass_bytes(model.model.diffusion_model, *sides)
