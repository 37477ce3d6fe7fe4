"""stable-diffusion-webui-forge as a host. Import only where it runs.

Forge samples under ``inference_mode``, its samplers all work with noise levels, and its UNet sits in a patcher that
other extensions hang their own changes on. Those stay active in our passes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from modules import prompt_parser, sd_samplers_common, sd_samplers_kdiffusion, shared
from torch import Tensor, nn

from tome_ext.hosts.common.passes import copied, uncompiled
from tome_ext.hosts.webui.backends.a1111 import A1111, SigmaCall
from tome_ext.hosts.webui.backends.a1111_text import A1111TextEncoder, tokens_of
from tome_ext.hosts.webui.backends.notes import infotext_undisturbed
from tome_ext.hosts.webui.backends.patcher import (
    flow_matching,
    options_of_pass,
    patched,
    predict_elsewhere,
    texts_by_region,
    unet_of,
)
from tome_ext.hosts.webui.backends.tokenizers import engine_tokenizer
from tome_ext.hosts.webui.protocol import Call, Encoding
from tome_ext.method.backward.autograd import differentiable, ordinary
from tome_ext.method.state import Step
from tome_ext.method.window import noise_place


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
        """Models whose noise is not as the method reads it; weights that stop a gradient are found when it is taken."""
        if self.unet() is not None and flow_matching(shared.sd_model.forge_objects.unet.model):
            return "this is a flow-matching model, whose noise the losses do not fit"
        return ""

    def pass_obstacle(self) -> str:
        """Extensions that a pass of our own would put out of step, or that make it pointless."""
        if texts_by_region(shared.sd_model.forge_objects.unet):
            return "forge-couple gives each region a text of its own, and ToMe has no part in those"
        return super().pass_obstacle()

    @contextlib.contextmanager
    def ordinary_tensors(self) -> Iterator[None]:
        """Sampling is done under inference_mode and perhaps with a compiled UNet; ours is not."""
        with super().ordinary_tensors(), ordinary(), uncompiled(shared.sd_model.forge_objects.unet.model):
            yield

    @contextlib.contextmanager
    def gradient(self) -> Iterator[None]:
        """What :mod:`tome_ext.method.backward.autograd` does, for the UNet."""
        unet = self.unet()
        patcher = shared.sd_model.forge_objects.unet
        with differentiable(*([] if unet is None else [unet]), changing=patched(patcher)):
            yield


class ForgeTextEncoder(A1111TextEncoder):
    """The text encoders of a model of Forge, for an image size."""

    def _find_tokenizer(self, model: Any) -> Any:
        return engine_tokenizer(model)

    def _encode(self, text: str, *, negative: bool) -> Encoding:
        texts = prompt_parser.SdConditioning([text], negative, self._width, self._height)
        # In the mode in which the host encodes; what is cloned outside it may take part in a gradient.
        with infotext_undisturbed(), torch.inference_mode():
            made = self._model.get_learned_conditioning(texts)
        if isinstance(made, dict):
            return Encoding(made["crossattn"][0].clone(), made["vector"][0].clone())
        return Encoding(made[0].clone())


class ForgeCall(SigmaCall):
    """A model call: B rows of latents, whatever the number of parts of their prompts."""

    @cached_property
    def place(self) -> float:
        """Where the call's noise level lies in the whole schedule."""
        sigma = self._noise_level(0)
        if flow_matching(shared.sd_model.forge_objects.unet.model):
            sigma = sigma / (1 - sigma) if sigma < 1 else float("inf")
        return noise_place(sigma)

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
            predict_elsewhere(shared.sd_model.forge_objects, self._params.x, moved)

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
        given["transformer_options"] = options = options_of_pass(patcher, sigma)
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
        return copied(made)

    def _get_control(self, control: Any, x: Tensor, sigma: Tensor, given: dict[str, Any], options: Any) -> Any:
        return control.get_control(x, sigma, given, 1)


def _bring_back(patcher: Any, x: Tensor) -> None:
    """Texts encoded during sampling, after a switch of models, may have sent the UNet off the device."""
    device = patcher.load_device.type
    if all(parameter.device.type != device for parameter in patcher.model.diffusion_model.parameters()):
        sd_samplers_kdiffusion.sampling_prepare(patcher, x)
