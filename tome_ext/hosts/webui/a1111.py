"""AUTOMATIC1111's WebUI (v1.10) as a host. Import only where it runs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from modules import devices, errors, prompt_parser, sd_samplers, sd_samplers_common, sd_unet, shared
from modules.sd_hijack import model_hijack
from torch import Tensor, nn

from tome_ext.hosts.webui.protocol import AFTER, Call, Encoding, Entry, Schedule
from tome_ext.refinement import Step
from tome_ext.unet import cross_attention_layers


class A1111:
    """The running WebUI."""

    def encoder(self, p: Any, second: bool) -> A1111TextEncoder:
        """The text encoders of the loaded model, for the size of the pass."""
        size = (p.hr_upscale_to_x, p.hr_upscale_to_y) if second else (p.width, p.height)
        return A1111TextEncoder(shared.sd_model, *size)

    def schedules(self, p: Any, second: bool, conditioning: Any) -> list[list[Schedule]]:
        """The texts by image, part and step; the host's own functions, compared with what it encoded."""
        prompts = p.hr_prompts if second else p.prompts
        indexes, flat, _ = prompt_parser.get_multicond_prompt_list(prompts)
        steps = [p.firstpass_steps, _second_pass_steps(p) if second else None, shared.opts.use_old_scheduling]
        texts = prompt_parser.get_learned_conditioning_prompt_schedules(flat, *steps)
        if len(indexes) != len(conditioning.batch):
            raise LookupError(f"{len(conditioning.batch)} conditionings for {len(indexes)} prompts")
        return [
            [_schedule(texts[number], part.schedules) for (number, _), part in zip(parts, encoded, strict=True)]
            for parts, encoded in zip(indexes, conditioning.batch, strict=True)
        ]

    def call(self, params: Any) -> Call:
        """The model call of ``CFGDenoiserParams``."""
        if hasattr(params.denoiser, "alphas"):
            return TimestepCall(params)
        return SigmaCall(params)

    def unet(self) -> nn.Module | None:
        """The UNet of the loaded model."""
        unet = getattr(getattr(shared.sd_model, "model", None), "diffusion_model", None)
        return unet if isinstance(unet, nn.Module) and cross_attention_layers(unet) else None

    def obstacle(self) -> str:
        """Options under which a gradient cannot pass through the UNet."""
        if sd_unet.current_unet is not None:
            return "the UNet is replaced by another engine (TensorRT)"
        if shared.cmd_opts.lowvram and getattr(shared.sd_model, "lowvram", False):
            return "--lowvram moves the UNet's blocks to and fro (--medvram does not)"
        if devices.fp8:
            return "the weights are stored in fp8"
        return ""

    def gradient(self) -> AbstractContextManager[object]:
        """Nothing is needed here but that our passes draw none of the host's random numbers."""
        return _hypertile_undisturbed()

    def interrupted(self) -> bool:
        """Interrupt or Skip was pressed."""
        return bool(shared.state.interrupted or shared.state.skipped)

    def release(self) -> None:
        """Empty the allocator's cache."""
        devices.torch_gc()

    def comment(self, p: Any, text: str) -> None:
        """A line under the image; the host escapes it and shows equal ones once."""
        p.comment(text)

    def report(self, message: str) -> None:
        """The message and the traceback on the console."""
        errors.report(message, exc_info=True)


class A1111TextEncoder:
    """The text encoders of a model of the WebUI, for an image size (SDXL looks at it)."""

    def __init__(self, model: Any, width: int, height: int) -> None:
        self._model, self._width, self._height = model, width, height
        stage = model.cond_stage_model
        found = [one for one in (stage, *getattr(stage, "embedders", ())) if hasattr(one, "tokenize_line")]
        if not found:
            raise LookupError("this model's text encoder has no tokens that could be merged")
        self._tokenizer = found[0]

    def chunks(self, text: str) -> Sequence[Any]:
        """The host's token chunks."""
        return list(self._tokenizer.tokenize_line(text)[0])

    def ids(self, text: str) -> Sequence[int]:
        """The bare tokens."""
        return list(self._tokenizer.tokenize([text])[0])

    def encode(self, text: str) -> Encoding:
        """The encoding of one text alone ("Original" emphasis looks at the mean of a whole batch)."""
        return self._encode(text, negative=False)

    def blank(self) -> Tensor | None:
        """The vector that the host makes for an empty negative prompt: zeros and the sizes."""
        return self._encode("", negative=True).vector

    def _encode(self, text: str, *, negative: bool) -> Encoding:
        texts = prompt_parser.SdConditioning([text], negative, self._width, self._height)
        with _infotext_undisturbed(), torch.no_grad(), devices.autocast():
            made = self._model.get_learned_conditioning(texts)
        if isinstance(made, dict):
            return Encoding(made["crossattn"][0].clone(), made["vector"][0].clone())
        return Encoding(made[0].clone())


class SigmaCall:
    """A model call of a k-diffusion sampler: noise levels go in, x0 comes out."""

    def __init__(self, params: Any) -> None:
        self._params = params
        denoiser = params.denoiser
        self.index, self.total, self.schedule_step = denoiser.step, max(denoiser.total_steps, 1), denoiser.step
        self.conditioning = denoiser.sampler.sampler_extra_args["cond"]

    @property
    def context(self) -> Tensor:
        """The text conditioning [rows, T, D]."""
        return _tokens(self._params.text_cond)

    @property
    def vector(self) -> Tensor | None:
        """SDXL's vectors [rows, V]."""
        text = self._params.text_cond
        return text["vector"] if isinstance(text, dict) else None

    def step(self, row: int, image: int, vector: Tensor | None) -> Step:
        """The call for one row; see :class:`Call`."""
        params = self._params
        null, extra = params.text_uncond, params.denoiser.sampler.sampler_extra_args
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
            sigma=self._level(row),
            null=_tokens(null)[image : image + 1],
            guidance=float(extra["cond_scale"] * params.denoiser.cond_scale_miltiplier),
        )

    def change(
        self, context: Tensor, vector: Tensor | None, latents: Mapping[int, Tensor], images: Sequence[int]
    ) -> None:
        """Put other text and latents into the call; ``DictWithShape`` stays what it is."""
        params = self._params
        text = params.text_cond
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
            self._moved(given - params.x)

    def _moved(self, back: Tensor) -> None:
        """The sampler steps from where it was: x0 + (x − x'), so that only the noise is that of the moved latents."""

        def undo(params: Any) -> None:
            params.x = params.x + back.to(params.x)

        setattr(self._params.denoiser.inner_model, AFTER, undo)

    def _condition(self, rows: list[int], context: Tensor, vector: Tensor | None) -> dict[str, Any]:
        """What the host's model wrapper takes beside the latents."""
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

    def _level(self, row: int) -> float:
        return float(self._params.sigma[row])

    def _scaled(self, x: Tensor, row: int) -> Tensor:
        return x / float((1 + self._level(row) ** 2) ** 0.5)

    def _unscaled(self, latents: Tensor, row: int) -> Tensor:
        return latents * float((1 + self._level(row) ** 2) ** 0.5)


class TimestepCall(SigmaCall):
    """A model call of DDIM, PLMS or UniPC: timesteps go in, ε comes out."""

    def _moved(self, back: Tensor) -> None:
        """Nothing: ε is what the sampler is given."""

    def _noise(self, latents: Tensor, rows: list[int], condition: dict[str, Any]) -> Tensor:
        params = self._params
        x = latents.to(params.x.dtype)
        return params.denoiser.inner_model(x, params.sigma[rows], cond=condition)  # type: ignore[no-any-return]

    def _level(self, row: int) -> float:
        alphas = self._params.denoiser.alphas
        kept = float(alphas[min(max(int(self._params.sigma[row]), 0), len(alphas) - 1)])
        return float(((1 - kept) / max(kept, 1e-12)) ** 0.5)

    def _scaled(self, x: Tensor, row: int) -> Tensor:
        return x

    def _unscaled(self, latents: Tensor, row: int) -> Tensor:
        return latents


def _tokens(text: Any) -> Tensor:
    return text["crossattn"] if isinstance(text, dict) else text  # type: ignore[no-any-return]


def _schedule(texts: Sequence[Any], encoded: Sequence[Any]) -> Schedule:
    if [end for end, _ in texts] != [entry.end_at_step for entry in encoded]:
        raise LookupError("the prompt's schedule is not the one that was encoded")
    return tuple(
        Entry(entry.end_at_step, text, len(_tokens(entry.cond)))
        for (_, text), entry in zip(texts, encoded, strict=True)
    )


def _second_pass_steps(p: Any) -> int:
    """The model calls of the second pass, by which its prompts are scheduled."""
    steps = p.hr_second_pass_steps or p.steps
    config = sd_samplers.find_sampler_config(p.hr_sampler_name or p.sampler_name)
    return int(config.total_steps(steps)) if config else int(steps)


@contextlib.contextmanager
def _infotext_undisturbed() -> Iterator[None]:
    """Encoding notes what it met for the infotext and the comments; for our own texts it must not."""
    parameters, comments = dict(model_hijack.extra_generation_params), list(model_hijack.comments)
    try:
        yield
    finally:
        model_hijack.extra_generation_params = parameters
        model_hijack.comments = comments


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
