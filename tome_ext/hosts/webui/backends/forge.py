"""stable-diffusion-webui-forge as a host. Import only where it runs.

Forge samples under ``inference_mode``, its samplers all work with noise levels, and its UNet sits in a patcher that
other extensions hang their own changes on. Those stay active in our passes.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from modules import prompt_parser, sd_samplers_common, sd_samplers_kdiffusion, shared
from torch import Tensor, nn

from tome_ext.hosts.webui.backends.a1111 import A1111, SigmaCall
from tome_ext.hosts.webui.backends.a1111_text import A1111TextEncoder, tokens_of
from tome_ext.hosts.webui.protocol import Call, Encoding
from tome_ext.method.backward.autograd import differentiable, ordinary, refused
from tome_ext.method.layers import cross_attention_layers
from tome_ext.method.state import Step

ENGINES = ("text_processing_engine", "text_processing_engine_l", "text_processing_engine_g")


class Forge(A1111):
    """The running Forge."""

    def encoder(self, p: Any, second: bool) -> A1111TextEncoder:
        """The text encoders of the loaded model, for the size of the pass."""
        size = (p.hr_upscale_to_x, p.hr_upscale_to_y) if second else (p.width, p.height)
        return ForgeTextEncoder(shared.sd_model, *size)

    def call(self, params: Any) -> Call:
        """The model call of ``CFGDenoiserParams``; noise levels for every sampler."""
        return ForgeCall(params)

    def unet(self) -> nn.Module | None:
        """The UNet of the loaded model; None for Flux, SD3 and other transformers."""
        return unet_of(shared.sd_model)

    def refinement_obstacle(self) -> str:
        """Weights that no gradient can pass through."""
        unet = self.unet()
        return "" if unet is None else refused(unet)

    @contextlib.contextmanager
    def ordinary_tensors(self) -> Iterator[None]:
        """Sampling is done under inference_mode; ours is not."""
        with super().ordinary_tensors(), ordinary():
            yield

    @contextlib.contextmanager
    def gradient(self) -> Iterator[None]:
        """What :mod:`tome_ext.method.backward.autograd` does, for the UNet."""
        unet = self.unet()
        # Other extensions' patches may change hidden states in place.
        patched = bool(shared.sd_model.forge_objects.unet.model_options.get("transformer_options"))
        with differentiable(*([] if unet is None else [unet]), changing=patched):
            yield


class ForgeTextEncoder(A1111TextEncoder):
    """The text encoders of a model of Forge, for an image size."""

    def __init__(self, model: Any, width: int, height: int) -> None:
        self._model, self._width, self._height = model, width, height
        found = [engine for name in ENGINES if hasattr(engine := getattr(model, name, None), "tokenize_line")]
        if not found:
            raise LookupError("this model's text encoder has no tokens that could be merged")
        self._tokenizer = found[0]

    def _encode(self, text: str, *, negative: bool) -> Encoding:
        texts = prompt_parser.SdConditioning([text], negative, self._width, self._height)
        # In the mode in which the host encodes; what is cloned outside it may take part in a gradient.
        with _infotext_undisturbed(), torch.inference_mode():
            made = self._model.get_learned_conditioning(texts)
        if isinstance(made, dict):
            return Encoding(made["crossattn"][0].clone(), made["vector"][0].clone())
        return Encoding(made[0].clone())


class ForgeCall(SigmaCall):
    """A model call: B rows of latents, whatever the number of parts of their prompts."""

    @cached_property
    def context(self) -> Tensor:
        """The text conditioning [rows, T, D], our own copy."""
        _bring_back(shared.sd_model.forge_objects.unet, self._params.x)
        return tokens_of(self._params.text_cond).clone()

    @cached_property
    def vector(self) -> Tensor | None:
        """SDXL's vectors [rows, V], our own copy."""
        text = self._params.text_cond
        return text["vector"].clone() if isinstance(text, dict) else None

    @cached_property
    def _latents(self) -> Tensor:
        return self._params.x.clone()  # type: ignore[no-any-return]

    @cached_property
    def _sigma(self) -> Tensor:
        return self._params.sigma.clone()  # type: ignore[no-any-return]

    def step(self, row: int, image: int, vector: Tensor | None) -> Step:
        """The call for one row; see :class:`Call`."""
        unet = unet_of(shared.sd_model)
        assert unet is not None
        null = self._params.text_uncond

        def predict(latents: Tensor, context: Tensor, images: Sequence[int]) -> Tensor:
            if shared.state.interrupted or shared.state.skipped:
                raise sd_samplers_common.InterruptedException
            return self._noise_of(image, latents, context.to(self.context.dtype), vector)

        return Step(
            unet=unet,
            latents=self._scaled(self._latents[image : image + 1], image),
            predict=predict,
            index=self.index,
            total=self.total,
            sigma=self._noise_level(image),
            null=None if null is None else tokens_of(null)[image : image + 1].clone(),
            guidance=self._guidance(),
            noise_place=self.place,
            resizable=self._resizable(image),
        )

    def change(
        self, context: Tensor, vector: Tensor | None, latents: Mapping[int, Tensor], images: Sequence[int]
    ) -> None:
        """Put other text and latents into the call; the latents by way of the patcher, for this prediction."""
        super().change(context, vector, {}, images)
        if latents:
            moved = self._latents.clone()
            # With several parts the first one of an image counts.
            for row, latent in sorted(latents.items(), reverse=True):
                moved[images[row]] = self._unscaled(latent, images[row])[0].to(moved)
            _predict_elsewhere(self._params.x, moved)

    def _guidance(self) -> float:
        denoiser = self._params.denoiser
        scale = denoiser.sampler.sampler_extra_args["cond_scale"]
        if getattr(denoiser.p, "is_hr_pass", False):
            scale = getattr(denoiser.p, "hr_cfg", scale)
        return float(scale * getattr(denoiser, "cond_scale_miltiplier", 1.0))

    def _noise_of(self, image: int, latents: Tensor, context: Tensor, vector: Tensor | None) -> Tensor:
        """ε for latents [R, C, h, w] of one image, as the host's sampling would predict it for the text alone."""
        patcher = shared.sd_model.forge_objects.unet
        count = len(latents)
        x = self._unscaled(latents, image).to(self._latents.dtype)
        sigma = self._sigma[[image] * count]
        given: dict[str, Any] = {"c_crossattn": context}
        if vector is not None:
            given["y"] = vector.expand(count, -1)
        concat = self._concat_condition(patcher, image)
        if concat is not None:
            given["c_concat"] = concat.expand(count, -1, -1, -1)
        given["transformer_options"] = options = _options(patcher, sigma)
        control = patcher.controlnet_linked_list
        if control is not None:
            given["control"] = self._control(control, x, sigma, given, options)
            given["control_model"] = control
        wrapper = patcher.model_options.get("model_function_wrapper")
        if wrapper is None:
            x0 = patcher.model.apply_model(x, sigma, **given)
        else:
            call = {"input": x, "timestep": sigma, "c": given, "cond_or_uncond": [0]}
            x0 = wrapper(patcher.model.apply_model, call)
        noise: Tensor = (x.float() - x0.float()) / sigma.float()[:, None, None, None]
        return noise

    def _concat_condition(self, patcher: Any, image: int) -> Tensor | None:
        """What an inpainting model sees beside the latents [1, C', h, w]."""
        concat = patcher.extra_concat_condition
        if concat is None:
            concat = self._params.image_cond
        same = isinstance(concat, Tensor) and concat.shape[-2:] == self._latents.shape[-2:]
        return concat[image : image + 1].clone() if same and len(concat) == len(self._latents) else None

    def _resizable(self, image: int) -> bool:
        """Whether nothing that a prediction takes is of the picture's size: no inpainting model, no ControlNet."""
        patcher = shared.sd_model.forge_objects.unet
        return patcher.controlnet_linked_list is None and self._concat_condition(patcher, image) is None

    def _control(self, control: Any, x: Tensor, sigma: Tensor, given: Mapping[str, Any], options: Any) -> Any:
        """What ControlNet adds, as a constant: no gradient passes through its own text conditioning."""
        link = control
        while link is not None:
            link.transformer_options = options
            link = link.previous_controlnet
        with torch.inference_mode():
            made = self._get_control(control, x, sigma, dict(given), options)
        return _copy(made)

    def _get_control(self, control: Any, x: Tensor, sigma: Tensor, given: dict[str, Any], options: Any) -> Any:
        return control.get_control(x, sigma, given, 1)


def unet_of(model: Any) -> nn.Module | None:
    """The UNet in a model's patcher; None where what is there is no UNet with cross-attention layers."""
    objects = getattr(model, "forge_objects", None)
    network = getattr(getattr(getattr(objects, "unet", None), "model", None), "diffusion_model", None)
    return network if isinstance(network, nn.Module) and cross_attention_layers(network) else None


def _bring_back(patcher: Any, x: Tensor) -> None:
    """Texts encoded during sampling, after a switch of models, may have sent the UNet off the device."""
    device = patcher.load_device.type
    if all(parameter.device.type != device for parameter in patcher.model.diffusion_model.parameters()):
        sd_samplers_kdiffusion.sampling_prepare(patcher, x)


def _options(patcher: Any, sigma: Tensor) -> dict[str, Any]:
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


def _copy(made: Any) -> Any:
    """Lists and dictionaries of tensors, copied."""
    if isinstance(made, dict):
        return {name: _copy(value) for name, value in made.items()}
    if isinstance(made, (list, tuple)):
        return [_copy(value) for value in made]
    return made.clone() if isinstance(made, Tensor) else made


class _Patched:
    """A patcher with other options for one call, and in all else the one it stands for."""

    def __init__(self, patcher: Any, options: dict[str, Any]) -> None:
        self.stands_for, self.model_options = patcher, options

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stands_for, name)


def _predict_elsewhere(given: Tensor, moved: Tensor) -> None:
    """Let the model call at ``given`` predict at ``moved``: the sampler gets x0' + (x − x'), the noise of x'.

    It is told by a stand-in for the patcher, which ends with the call; after a failure with the host's own renewal of
    its patchers before each sampling pass.
    """
    objects = shared.sd_model.forge_objects
    patcher = getattr(objects.unet, "stands_for", objects.unet) if isinstance(objects.unet, _Patched) else objects.unet
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


@contextlib.contextmanager
def _infotext_undisturbed() -> Iterator[None]:
    """Encoding notes what it met for the infotext; for our own texts it must not."""
    noted = sys.modules.get("backend.text_processing.classic_engine")
    before = dict(getattr(noted, "last_extra_generation_params", {}))
    try:
        yield
    finally:
        if noted is not None:
            noted.last_extra_generation_params = before  # type: ignore[attr-defined]
