"""One model call of ComfyUI's sampling, for one of its conditionings, as the refinement sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import comfy.ldm.modules.attention
import comfy.model_management
import comfy.patcher_extension
import comfy.samplers
import torch
from torch import Tensor

from tome_ext.hosts.comfyui.bound import given_tokens
from tome_ext.hosts.common.passes import copied, has_functions
from tome_ext.method.state import Step

# Wrappers of the sampling itself, this extension's among them, take no part in the UNet's passes.
_OUTSIDE = ("outer_sample", "prepare_sampling", "sampler_sample", "predict_noise", "calc_cond_batch")
_WITHOUT_GRADIENT = ("attention_sage", "attention_flash")


@dataclass(frozen=True)
class ModelCall:
    """What a wrapper of ``calc_cond_batch`` is given: ``conds`` are lists of conditionings, the positive one first.

    ``guidance``: the scale of the guider, 1 where it has none.
    """

    model: Any
    conds: Sequence[Any]
    x: Tensor
    timestep: Tensor
    options: Mapping[str, Any]
    guidance: float = 1.0

    @cached_property
    def sigma(self) -> float:
        """The noise level σ of the sampler; read once, since that waits for the device."""
        return float(self.timestep[0])

    @property
    def level(self) -> float:
        """Noise over signal, √((1 − ᾱ)/ᾱ)."""
        return self.sigma / data_scale(self.model)

    def part(self, cond: Mapping[str, Any]) -> CondPart | None:
        """What the host makes of a conditioning at this call; None where it takes no part (its range of steps)."""
        made = comfy.samplers.get_area_and_mult(cond, self.x, self.timestep)
        if made is None:
            return None
        # In the host's own mode: it writes weights of hooks into the model.
        patcher = self.model.current_patcher
        if made.hooks is not None:
            patcher.prepare_hook_patches_current_keyframe(self.timestep, made.hooks, self.options)
        hooked = patcher.apply_hooks(hooks=made.hooks) or {}
        options = comfy.patcher_extension.merge_nested_dicts(hooked, dict(self.options.get("transformer_options", {})))
        return CondPart(self, cond, made, options)


@dataclass(frozen=True)
class CondPart:
    """A conditioning with its area, control, patches and hooks at one model call."""

    call: ModelCall
    cond: Mapping[str, Any]
    made: Any
    options: Mapping[str, Any]

    @property
    def changing(self) -> bool:
        """Whether others' functions or a ControlNet may change what autograd keeps in place."""
        own = {name: value for name, value in self.options.items() if name not in ("wrappers", "callbacks")}
        wrappers = self.options.get("wrappers", {})
        inside = [made for kind, made in wrappers.items() if kind not in _OUTSIDE]
        return self.made.control is not None or has_functions(own) or has_functions(inside) or bool(self.made.patches)

    @cached_property
    def latents(self) -> Tensor:
        """The part of the sampler's latents [B, C, h, w] that the conditioning is for."""
        return self.made.input_x.clone()  # type: ignore[no-any-return]

    @property
    def whole(self) -> bool:
        """Whether that is all of them."""
        return self.made.area is None

    @property
    def resizable(self) -> bool:
        """Whether nothing that a prediction takes is of the picture's size."""
        concat = "c_concat" in self.made.conditioning
        return self.made.control is None and not concat and not self.made.patches and self.whole

    def step(self, image: int, index: int, total: int, place: float, *, blank_pooled: bool) -> Step:
        """The call for one image. ``blank_pooled``: with zeros for SDXL's pooled vector."""
        scale = self._scale
        sigma = self.call.timestep[image : image + 1].clone()

        def predict(latents: Tensor, context: Tensor, images: Sequence[int]) -> Tensor:
            comfy.model_management.throw_exception_if_processing_interrupted()
            at, level = latents.float() / scale, sigma[[0] * len(latents)]
            if torch.is_grad_enabled():
                return self._noise(at, level, context, image, blank_pooled)
            # In the mode in which the host makes predictions; a copy may take part in what follows.
            with torch.inference_mode():
                noise = self._noise(at, level, context, image, blank_pooled)
            return noise.clone()

        return Step(
            unet=self.call.model.diffusion_model,
            latents=self.latents[image : image + 1].float() * scale,
            predict=predict,
            index=index,
            total=total,
            sigma=self.call.level,
            null=self._null(image),
            guidance=self.call.guidance,
            resizable=self.resizable,
            noise_place=place,
        )

    def unscaled(self, latents: Tensor) -> Tensor:
        """Latents of a :class:`Step` as the sampler has them."""
        return latents / self._scale

    @cached_property
    def _scale(self) -> float:
        """From the sampler's latents to those that the UNet sees."""
        sampling = self.call.model.model_sampling
        one = torch.ones(1, 1, 1, 1, device=self.call.timestep.device)
        return float(sampling.calculate_input(self.call.timestep[:1].float(), one))

    def _null(self, image: int) -> Tensor | None:
        """The first of the negative conditionings [1, T, D]."""
        for other in self.call.conds[1:]:
            for cond in other or ():
                tokens = given_tokens(cond)
                if tokens is not None and cond is not self.cond:
                    return tokens[[image % len(tokens)]].clone()
        return None

    def _noise(self, x: Tensor, sigma: Tensor, context: Tensor, image: int, blank_pooled: bool) -> Tensor:
        """ε for the sampler's latents [R, C, h, w] of one image, as the host predicts it."""
        call: dict[str, Any] = self._rows(image, len(x))
        call["c_crossattn"] = context
        pooled = self.cond.get("pooled_output")
        if blank_pooled and "y" in call and isinstance(pooled, Tensor):
            call["y"][:, : pooled.shape[-1]] = 0
        call["transformer_options"] = options = self._options(sigma)
        if self.made.control is not None:
            call["control"] = self._control(x, sigma, call, options)
        model, wrapper = self.call.model, self.call.options.get("model_function_wrapper")
        if wrapper is None:
            x0 = model.apply_model(x, sigma, **call)
        else:
            x0 = wrapper(model.apply_model, {"input": x, "timestep": sigma, "c": call, "cond_or_uncond": [0]})
        noise: Tensor = (x - x0.float()) / sigma.float().view(-1, 1, 1, 1)
        return noise

    def _rows(self, image: int, count: int) -> dict[str, Any]:
        """What else the UNet is given, for ``count`` rows of the image."""
        out: dict[str, Any] = {}
        for name, made in self.made.conditioning.items():
            if name == "c_crossattn":
                continue
            value = getattr(made, "cond", None)
            if isinstance(value, Tensor) and len(value) == len(self.latents):
                out[name] = value[[image] * count].clone()
            elif isinstance(value, (list, tuple)):
                out[name] = [one[[image] * count].clone() if isinstance(one, Tensor) else one for one in value]
            else:
                out[name] = value.clone() if isinstance(value, Tensor) else value
        return out

    def _options(self, sigma: Tensor) -> dict[str, Any]:
        options = dict(self.options)
        for name, patches in (self.made.patches or {}).items():
            own = options.get("patches", {})
            options["patches"] = {**own, name: [*own.get(name, []), *patches]}
        options |= {"cond_or_uncond": [0], "uuids": [self.cond.get("uuid")], "sigmas": sigma}
        used = getattr(comfy.ldm.modules.attention.optimized_attention, "__name__", "")
        if torch.is_grad_enabled() and ("optimized_attention_override" in options or used in _WITHOUT_GRADIENT):
            options["optimized_attention_override"] = _ordinary_attention
        return options

    def _control(self, x: Tensor, sigma: Tensor, call: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """What ControlNet adds, as a constant: no gradient passes through its own text conditioning."""
        given = {name: copied(value) if isinstance(value, (list, dict)) else value for name, value in call.items()}
        with torch.inference_mode():
            made = self.made.control.get_control(x.detach(), sigma, given, 1, options)
        return copied(made)


def _ordinary_attention(kernel: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """PyTorch's attention, for kernels that no gradient passes through."""
    made: Tensor = comfy.ldm.modules.attention.attention_pytorch(*args, **kwargs)
    return made


def flow_matching(model: Any) -> bool:
    """Whether a model gives its UNet latents (1 − σ)·x0 + σ·ε, and not (x0 + σ·ε)/√(1 + σ²)."""
    one = torch.ones(1, 1, 1, 1)
    scale = float(model.model_sampling.calculate_input(torch.ones(1), one))
    return bool(abs(scale - (1 + data_scale(model) ** 2) ** -0.5) > 1e-3)


def data_scale(model: Any) -> float:
    """The standard deviation that a model's schedule takes its data to have."""
    return float(getattr(model.model_sampling, "sigma_data", 1.0) or 1.0)
