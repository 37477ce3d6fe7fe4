"""Attaching the method to a pipeline, for as long as a context lasts."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from tome_ext.hosts.diffusers.call import UNetCall
from tome_ext.hosts.diffusers.encoding import Understood, encode, understand
from tome_ext.hosts.diffusers.noise import noise_level, noise_of, place_in_run
from tome_ext.method.attention import map_size
from tome_ext.method.composition import Encoded, compose, substitute_ends
from tome_ext.method.layers import select_layers
from tome_ext.method.losses import paper_maps
from tome_ext.method.objective import attention
from tome_ext.method.refine import in_window, refine
from tome_ext.method.state import Report, Step, Tokens
from tome_ext.prompts import Reading
from tome_ext.settings import Settings

_log = logging.getLogger(__name__)


@dataclass
class ImageReport:
    """What was done for one image.

    ``losses``: for each refined step its number and, for each loss, the values of the image's objects by
    iteration. ``maps`` and ``plain_maps``: (the object's words, its cross-attention [h, w], sum 1), of the composite
    token and of the noun's token without ToMe, where they were asked for. ``bound``: whether it has composite tokens.
    ``failure``: why it was made without a part of the method that was due for it, empty where none is missing; it is
    among the warnings as well.
    """

    groups: Reading
    warnings: list[str] = field(default_factory=list)
    losses: list[dict[str, Any]] = field(default_factory=list)
    maps: list[tuple[str, Tensor]] = field(default_factory=list)
    plain_maps: list[tuple[str, Tensor]] = field(default_factory=list)
    bound: bool = False
    failure: str = ""


@contextmanager
def attach(
    pipe: Any,
    settings: Settings,
    prompts: Sequence[str],
    *,
    images_per_prompt: int = 1,
    clean: Sequence[str] | None = None,
    clip_skip: int | None = None,
    record_maps: bool = False,
) -> Iterator[Attachment]:
    """ToMe on ``pipe`` within the context; afterwards the pipeline is exactly as it was.

    ``prompts`` and ``images_per_prompt`` are those of the coming call, ``clean`` the clean prompts where they are
    given by hand, ``clip_skip`` the call's own. ``record_maps`` costs two partial UNet passes a run. What fails
    during sampling is reported and logged, and the images are made without it.

    Raises GroupSyntaxError for groups that cannot be read, and ValueError for as many clean prompts as do not fit.
    """
    if clean is not None and len(clean) != len(prompts):
        raise ValueError(f"{len(clean)} clean prompts for {len(prompts)} prompts")
    texts = [
        understand(pipe, prompt, settings, clean=clean[number] if clean else None, clip_skip=clip_skip)
        for number, prompt in enumerate(prompts)
    ]
    null = encode(pipe, [""], clip_skip)[0] if settings.phrase_latent == "own" else None
    images = [text for text in texts for _ in range(images_per_prompt)]
    attachment = Attachment(pipe, settings, images, null, record_maps)
    handle = pipe.unet.register_forward_pre_hook(attachment.before, with_kwargs=True)
    try:
        yield attachment
    finally:
        handle.remove()


class Attachment:
    """ToMe on one pipeline: follows the UNet's calls and changes their text. ``report`` has an entry per image."""

    def __init__(
        self, pipe: Any, settings: Settings, images: Sequence[Understood], null: Tensor | None, record_maps: bool
    ) -> None:
        self.report = [ImageReport(image.reading, image.warnings, bound=bool(image.located.groups)) for image in images]
        self._pipe, self._settings, self._images = pipe, settings, images
        self._null, self._record_maps = null, record_maps
        self._run: _Run | None = None

    def before(self, unet: nn.Module, args: Any, kwargs: Any) -> tuple[tuple[()], dict[str, Any]] | None:
        """The UNet's pre-hook: the arguments to call it with; None where it stays as it is."""
        if not any(image.located.groups for image in self._images):
            return None
        try:
            return (), self._step(unet, args, kwargs)
        except Exception as error:
            _log.exception("ToMe failed; the images are made without it")
            self._fail(f"ToMe failed, so this step was made without it: {type(error).__name__}: {error}")
            return None

    def _step(self, unet: nn.Module, args: Any, kwargs: Any) -> dict[str, Any]:
        call = UNetCall.of(args, kwargs, len(self._images))
        timesteps = self._pipe.scheduler.timesteps
        if self._run is None or self._run.timesteps is not timesteps or self._run.index >= self._run.total:
            self._run = self._begin(call, timesteps)
        run = self._run
        progress = run.index / run.total
        if self._settings.ets and not run.substituted and progress >= self._settings.ets_start - 1e-9:
            run.tokens = substitute_ends(run.tokens, run.encoded, self._settings)
            run.substituted = True
        latents = call.latents
        step = self._describe(unet, call, run)
        if step is not None and in_window(step, self._settings) and not run.failed:
            latents = self._refine(step, run)
        if step is not None and self._record_maps and not run.recorded and progress >= run.maps_from:
            run.recorded = True
            try:
                self._maps(replace(step, latents=latents), run, call)
            except (RuntimeError, ValueError) as error:
                self._warn(f"no attention maps: {error}")
        run.index += 1
        keep = self._settings.pooled == "keep"
        pooled = [None if keep else image.pooled for image in self._images]
        return call.changed(run.tokens.context, latents, pooled)

    def _begin(self, call: UNetCall, timesteps: Tensor) -> _Run:
        encoded = [
            Encoded(row, image.located, image.phrases, image.clean, image.clean_ends, image.outside or {})
            for row, image in zip(call.conditioning, self._images, strict=True)
        ]
        _, total = place_in_run(timesteps, call.timestep)
        tokens = compose(encoded, self._settings)
        settings = self._settings
        maps_from = settings.window_stop if settings.refines else 0.2
        return _Run(timesteps, total, encoded, tokens, min(maps_from, (total - 1) / total) - 1e-9)

    def _describe(self, unet: nn.Module, call: UNetCall, run: _Run) -> Step | None:
        """The call as the refinement sees it; None, once with a warning, for a scheduler it cannot follow."""
        if not (self._settings.refines or self._record_maps) or run.failed:
            return None
        scheduler = self._pipe.scheduler
        try:
            sigma = noise_level(scheduler, call.timestep)
            to_noise = noise_of(scheduler, sigma)
        except ValueError as error:
            (self._fail if self._settings.refines else self._warn)(f"no refinement: {error}")
            run.failed = True
            return None
        null = call.null
        if null is None and self._null is not None:
            null = self._null.expand(len(self._images), -1, -1)
        return Step(
            unet=unet,
            latents=call.latents,
            predict=call.predictor(unet, to_noise, blank_pooled=self._settings.loss_pooled == "zeros"),
            index=run.index,
            total=run.total,
            sigma=sigma,
            null=null,
            guidance=float(getattr(self._pipe, "guidance_scale", 1.0) or 1.0),
            resizable=call.resizable,
        )

    def _refine(self, step: Step, run: _Run) -> Tensor:
        try:
            run.tokens, latents, report = refine(step, run.tokens, self._settings)
        except Exception as error:
            _log.exception("ToMe's refinement failed; the images are made without it")
            run.failed = True
            self._fail(f"refinement failed, so the images have none from here on: {type(error).__name__}: {error}")
            if step.latents.is_cuda:
                torch.cuda.empty_cache()
            return step.latents
        self._note(run.tokens, report)
        return latents

    def _note(self, tokens: Tokens, report: Report) -> None:
        for image, entry in enumerate(self.report):
            own = tokens.objects_of([image])
            losses = {
                name: [[row[number] for number in own if number in row] for row in rows]
                for name, rows in (
                    ("binding", report.binding),
                    ("entropy", report.entropy),
                    ("position", report.position),
                )
            }
            if own:
                entry.losses.append({"step": report.step, **{name: rows for name, rows in losses.items() if any(rows)}})
                entry.warnings += report.warnings

    @torch.no_grad()
    def _maps(self, step: Step, run: _Run, call: UNetCall) -> None:
        layers = select_layers(step.unet, self._settings.layers)
        images = sorted(set(run.tokens.image))
        nouns = [group.noun[0] for encoded in run.encoded for group in encoded.located.groups]
        plain_positions = [chunk * 77 + index for chunk, index in nouns]
        both = (run.tokens.context, run.tokens.position, "maps"), (call.conditioning, plain_positions, "plain_maps")
        for context, positions, name in both:
            probabilities = attention(step, context, step.latents, images, layers)
            size = map_size((step.latents.shape[-2], step.latents.shape[-1]), probabilities.shape[1])
            for number, image in enumerate(run.tokens.image):
                one = paper_maps(probabilities[images.index(image)][:, positions[number]][None])[0]
                label = self._label(run, image, run.tokens.objects_of([image]).index(number))
                getattr(self.report[image], name).append((label, one.view(size).cpu()))

    def _label(self, run: _Run, image: int, number: int) -> str:
        group = run.encoded[image].located.groups[number].group
        related = [span.text for span in group.related] + [term.text for term in group.extra]
        return " ".join([group.noun.text, *(f"+ {word}" for word in related)])

    def _fail(self, text: str) -> None:
        self._warn(text)
        for entry in self.report:
            if entry.bound:
                entry.failure = entry.failure or text

    def _warn(self, text: str) -> None:
        for entry in self.report:
            if text not in entry.warnings:
                entry.warnings.append(text)


@dataclass
class _Run:
    """One sampling run: its tokens, and how far it has come."""

    timesteps: Tensor
    total: int
    encoded: list[Encoded]
    tokens: Tokens
    maps_from: float
    index: int = 0
    substituted: bool = False
    recorded: bool = False
    failed: bool = False
