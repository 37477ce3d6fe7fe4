"""AUTOMATIC1111's WebUI (v1.10) as a host. Import only where it runs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import torch
from modules import devices, errors, sd_samplers_common, sd_unet, shared
from torch import Tensor, nn

from tome_ext.hosts.webui.backends.a1111_text import A1111TextEncoder, schedules, tokens_of
from tome_ext.hosts.webui.backends.controlnet import differentiable, prefix_length
from tome_ext.hosts.webui.protocol import AFTER, Call, Schedule
from tome_ext.method.layers import cross_attention_layers
from tome_ext.method.state import Step
from tome_ext.method.window import noise_place


class A1111:
    """The running WebUI."""

    def encoder(self, p: Any, second: bool) -> A1111TextEncoder:
        """The text encoders of the loaded model, for the size of the pass."""
        size = (p.hr_upscale_to_x, p.hr_upscale_to_y) if second else (p.width, p.height)
        return A1111TextEncoder(shared.sd_model, *size)

    def schedules(self, p: Any, second: bool, conditioning: Any) -> list[list[Schedule]]:
        """The texts by image, part and step."""
        return schedules(p, second, conditioning)

    def call(self, params: Any) -> Call:
        """The model call of ``CFGDenoiserParams``."""
        if hasattr(params.denoiser, "alphas"):
            return TimestepCall(params)
        return SigmaCall(params)

    def unet(self) -> nn.Module | None:
        """The UNet of the loaded model."""
        unet = getattr(getattr(shared.sd_model, "model", None), "diffusion_model", None)
        return unet if isinstance(unet, nn.Module) and cross_attention_layers(unet) else None

    def refinement_obstacle(self) -> str:
        """Options under which a gradient cannot pass through the UNet."""
        if sd_unet.current_unet is not None:
            return "the UNet is replaced by another engine (TensorRT)"
        if shared.cmd_opts.lowvram and getattr(shared.sd_model, "lowvram", False):
            return "--lowvram moves the UNet's blocks to and fro (--medvram does not)"
        if devices.fp8:
            return "the weights are stored in fp8"
        return ""

    def pass_obstacle(self) -> str:
        """Extensions that a pass of our own would put out of step."""
        return "Regional Prompter gives each region a text of its own" if _regional_prompter(self.unet()) else ""

    def ordinary_tensors(self) -> AbstractContextManager[object]:
        """Sampling is done under no_grad, not inference_mode: tensors are ordinary anyway."""
        return _hypertile_undisturbed()

    def gradient(self) -> AbstractContextManager[object]:
        """Weights are ordinary tensors; only ControlNet stands in the way."""
        return differentiable(self.unet())

    def free_memory(self) -> None:
        """Empty the allocator's cache."""
        devices.torch_gc()

    def mask_count(self, p: Any) -> int:
        """As the host adds them in ``process_images_inner``."""
        if getattr(p, "mask_for_overlay", None) is None:
            return 0
        return sum(bool(getattr(shared.opts, name, False)) for name in ("return_mask", "return_mask_composite"))

    def comment(self, p: Any, text: str) -> None:
        """A line under the image, which the host escapes; and on the console, for who asked through the API."""
        p.comment(text)
        print(text, file=sys.stderr)

    def log_exception(self, message: str) -> None:
        """The message and the traceback on the console."""
        errors.report(message, exc_info=True)


class SigmaCall:
    """A model call of a k-diffusion sampler: noise levels go in, x0 comes out."""

    def __init__(self, params: Any) -> None:
        self._params = params
        denoiser = params.denoiser
        self.index, self.total, self.schedule_step = denoiser.step, max(denoiser.total_steps, 1), denoiser.step
        self.conditioning = denoiser.sampler.sampler_extra_args["cond"]

    @cached_property
    def place(self) -> float:
        """Where the call's noise level lies in the whole schedule."""
        return noise_place(self._noise_level(0))

    @cached_property
    def _levels(self) -> list[float]:
        """The noise level of every row; read once, since that waits for the device."""
        return [float(level) for level in self._params.sigma.tolist()]

    @cached_property
    def context(self) -> Tensor:
        """The text conditioning [rows, T, D]."""
        given = tokens_of(self._params.text_cond)
        return given[:, self._prefix_length :]

    @cached_property
    def _prefix_length(self) -> int:
        """How many vectors ControlNet puts before the tokens; looked at once, since that waits for the device."""
        return prefix_length(tokens_of(self._params.text_cond))

    @cached_property
    def _control_prefix(self) -> Tensor:
        """What ControlNet puts before the tokens [rows, 1 or 0, D]."""
        return tokens_of(self._params.text_cond)[:, : self._prefix_length]

    @cached_property
    def _null(self) -> Tensor:
        """The negative text conditioning [images, T, D]."""
        given = tokens_of(self._params.text_uncond)
        return given[:, prefix_length(given) :]

    @property
    def vector(self) -> Tensor | None:
        """SDXL's vectors [rows, V]."""
        text = self._params.text_cond
        return text["vector"] if isinstance(text, dict) else None

    def step(self, row: int, image: int, vector: Tensor | None) -> Step:
        """The call for one row; see :class:`Call`."""
        params = self._params
        extra = params.denoiser.sampler.sampler_extra_args
        unet = shared.sd_model.model.diffusion_model

        def predict(latents: Tensor, context: Tensor, images: Sequence[int]) -> Tensor:
            if shared.state.interrupted or shared.state.skipped:
                raise sd_samplers_common.InterruptedException
            rows = [row] * len(images)
            condition = self._condition(rows, context.to(self.context.dtype), vector)
            return self._noise(latents, rows, condition)

        return Step(
            unet=unet,
            latents=self._scaled(params.x[row : row + 1], row),
            predict=predict,
            index=self.index,
            total=self.total,
            sigma=self._noise_level(row),
            null=self._null[image : image + 1],
            guidance=float(extra["cond_scale"] * params.denoiser.cond_scale_miltiplier),
            noise_place=self.place,
            resizable=_resizable(params.image_cond, unet),
        )

    def change(
        self, context: Tensor, vector: Tensor | None, latents: Mapping[int, Tensor], images: Sequence[int]
    ) -> None:
        """Put other text and latents into the call; ``DictWithShape`` stays what it is."""
        params = self._params
        text = params.text_cond
        context = torch.cat([self._control_prefix, context], 1)
        if isinstance(text, dict):
            text["crossattn"] = context
            if vector is not None:
                text["vector"] = vector
        else:
            params.text_cond = context
        if latents:
            given, params.x = params.x, params.x.clone()
            for row, latent in sorted(latents.items(), reverse=True):
                x = self._unscaled(latent, row)[0].to(given)
                params.x[row] = x
                # The negative row of the image; with several parts, as the host does elsewhere, the first one counts.
                params.x[len(images) + images[row]] = x
            self._restore_sampler_latents(given - params.x)

    def _restore_sampler_latents(self, back: Tensor) -> None:
        """The sampler steps from where it was: x0 + (x − x'), so that only the noise is that of the moved latents.

        In place: the host goes on with its own tensor and does not read ``params.x`` again.
        """

        def undo(params: Any) -> None:
            params.x.add_(back.to(params.x))

        denoiser = self._params.denoiser
        setattr(denoiser.inner_model, AFTER, (denoiser.p, undo))

    def _condition(self, rows: list[int], context: Tensor, vector: Tensor | None) -> dict[str, Any]:
        """What the host's model wrapper takes beside the latents; for ControlNet every text is a positive one."""
        context = torch.cat([self._control_prefix[rows], context], 1)
        image = self._params.image_cond[rows]
        if isinstance(self._params.text_cond, dict):
            assert vector is not None
            return {"crossattn": context, "vector": vector.expand(len(rows), -1), "c_concat": [image]}
        if shared.sd_model.model.conditioning_key == "crossattn-adm":
            return {"c_crossattn": [context], "c_adm": image}
        return {"c_crossattn": [context], "c_concat": [image]}

    def _noise(self, latents: Tensor, rows: list[int], condition: dict[str, Any]) -> Tensor:
        sigma = self._params.sigma[rows]
        x = self._unscaled(latents, rows[0]).to(self._params.x.dtype)
        x0: Tensor = self._params.denoiser.inner_model(x, sigma, cond=condition)
        noise: Tensor = (x.float() - x0.float()) / sigma.float()[:, None, None, None]
        return noise

    def _noise_level(self, row: int) -> float:
        return self._levels[row]

    def _scaled(self, x: Tensor, row: int) -> Tensor:
        return x / float((1 + self._noise_level(row) ** 2) ** 0.5)

    def _unscaled(self, latents: Tensor, row: int) -> Tensor:
        return latents * float((1 + self._noise_level(row) ** 2) ** 0.5)


class TimestepCall(SigmaCall):
    """A model call of DDIM, PLMS or UniPC: timesteps go in, ε comes out."""

    def _restore_sampler_latents(self, back: Tensor) -> None:
        """Nothing: ε is what the sampler is given."""

    def _noise(self, latents: Tensor, rows: list[int], condition: dict[str, Any]) -> Tensor:
        params = self._params
        x = latents.to(params.x.dtype)
        return params.denoiser.inner_model(x, params.sigma[rows], cond=condition)  # type: ignore[no-any-return]

    @cached_property
    def _levels(self) -> list[float]:
        alphas = self._params.denoiser.alphas
        steps = self._params.sigma.to(alphas.device).long().clamp(0, len(alphas) - 1)
        return [float(((1 - kept) / max(kept, 1e-12)) ** 0.5) for kept in alphas[steps].tolist()]

    def _scaled(self, x: Tensor, row: int) -> Tensor:
        return x

    def _unscaled(self, latents: Tensor, row: int) -> Tensor:
        return latents


def _regional_prompter(unet: nn.Module | None) -> bool:
    """Whether Regional Prompter calls the layers that look at the text with a part of it at a time.

    It tells positive from negative texts by counting the layers' calls.
    """
    layers = cross_attention_layers(unet).values() if unet is not None else ()
    own = [getattr(vars(layer).get("forward"), "__code__", None) for layer in layers]
    return any(code is not None and "regional-prompter" in code.co_filename for code in own)


def _resizable(concat: Tensor, unet: Any) -> bool:
    """Whether the UNet takes latents of other sizes: no inpainting model, no ControlNet (it replaces ``forward``)."""
    spatial = concat.ndim == 4 and concat.shape[-2:] != (1, 1)
    return not spatial and "forward" not in vars(unet)


@contextlib.contextmanager
def _hypertile_undisturbed() -> Iterator[None]:
    """Hypertile draws its tiles from a generator of its own at every pass; afterwards it stands where it stood."""
    generator = getattr(sys.modules.get("hypertile"), "RNG_INSTANCE", None)
    state = generator.getstate() if generator is not None else None
    try:
        yield
    finally:
        if generator is not None:
            generator.setstate(state)
