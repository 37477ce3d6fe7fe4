"""Attaching the method to a pipeline, for as long as a context lasts."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tome_ext.hosts.common.maps import maps_due
from tome_ext.hosts.common.memory import release_memory, with_less_memory
from tome_ext.hosts.common.text import encode_prompt
from tome_ext.hosts.diffusers.announced import Announced, compare, texts_of
from tome_ext.hosts.diffusers.call import Mismatch, UNetCall
from tome_ext.hosts.diffusers.encoding import PipelineEncoder
from tome_ext.hosts.diffusers.noise import Schedule, noise_level, noise_of
from tome_ext.hosts.diffusers.report import ImageReport, Reports, label_of, moved
from tome_ext.hosts.diffusers.unet import before_each_call, gradients_through, inner, recordable
from tome_ext.method.attention import map_size
from tome_ext.method.backward.autograd import ordinary
from tome_ext.method.composition import Encoded, compose, substitute_ends
from tome_ext.method.layers import select_layers
from tome_ext.method.losses import paper_maps
from tome_ext.method.objective import attention
from tome_ext.method.refine import in_window, refine
from tome_ext.method.state import Report, Step, Tokens
from tome_ext.method.window import inside, nothing_refined, reached
from tome_ext.settings import Settings

_log = logging.getLogger(__name__)


@contextmanager
def attach(
    pipe: Any,
    settings: Settings,
    prompts: str | Sequence[str],
    *,
    images_per_prompt: int = 1,
    clean: str | Sequence[str] | None = None,
    clip_skip: int | None = None,
    lora_scale: float | None = None,
    record_maps: bool = False,
) -> Iterator[Attachment]:
    """ToMe on ``pipe`` within the context; afterwards the pipeline is exactly as it was.

    ``prompts`` and ``images_per_prompt`` are those of the coming calls, ``clean`` the clean prompts where they are
    given by hand, ``clip_skip`` and ``lora_scale`` the calls' own (``lora_scale``: the ``scale`` among their
    ``cross_attention_kwargs``). ``record_maps`` costs a partial UNet pass a run. Each call is compared with what is
    announced here; what does not agree, and whatever else fails during sampling, is reported and logged, and the
    images are sampled without it.

    Raises GroupSyntaxError for groups that cannot be read, TypeError for prompts that are no text, ValueError for as
    many clean prompts as do not fit, and RuntimeError where ToMe is attached already.
    """
    texts, by_hand = texts_of(prompts, "prompts"), None if clean is None else texts_of(clean, "clean")
    if by_hand is not None and len(by_hand) != len(texts):
        raise ValueError(f"{len(by_hand)} clean prompts for {len(texts)} prompts")
    if images_per_prompt < 1:
        raise ValueError(f"images_per_prompt = {images_per_prompt}: must be at least 1")
    encoder = PipelineEncoder(pipe, clip_skip, lora_scale)
    images = [image for image in _announced(encoder, texts, by_hand, settings) for _ in range(images_per_prompt)]
    null = encoder.encode("").tokens if settings.phrase_latent == "own" else None
    attachment = Attachment(pipe, settings, images, null, record_maps)
    with before_each_call(pipe.unet, attachment.before):
        yield attachment


def _announced(
    encoder: PipelineEncoder, texts: Sequence[str], clean: Sequence[str] | None, settings: Settings
) -> list[Announced]:
    """The prompts read and encoded, each once."""
    keys: list[tuple[str, str | None]] = [(text, clean[number] if clean else None) for number, text in enumerate(texts)]
    known: dict[tuple[str, str | None], Announced] = {}
    for text, by_hand in dict.fromkeys(keys):
        prompt = encode_prompt(encoder, text, settings, refine=settings.refines, clean=by_hand)
        known[text, by_hand] = Announced(prompt, encoder.encode(text).tokens if prompt.located.groups else None)
    return [known[key] for key in keys]


class Attachment:
    """ToMe on one pipeline: follows the UNet's calls and changes their text. ``report`` has an entry per image."""

    def __init__(
        self, pipe: Any, settings: Settings, images: Sequence[Announced], null: Tensor | None, record_maps: bool
    ) -> None:
        entries = [ImageReport(one.prompt.reading, one.prompt.warnings, bound=one.bound) for one in images]
        self._reports = Reports(entries)
        self._pipe, self._settings, self._images = pipe, settings, images
        self._null, self._record_maps = null, record_maps
        self._run: _Run | None = None
        self._abandoned: Tensor | None = None  # the schedule of a call that is sampled without ToMe

    @property
    def report(self) -> list[ImageReport]:
        """What was done, an entry per image."""
        return self._reports.entries

    def before(self, unet: nn.Module, args: Any, kwargs: Any) -> tuple[tuple[()], dict[str, Any]] | None:
        """The UNet's pre-hook: the arguments to call it with; None where they stay as they are."""
        timesteps = self._pipe.scheduler.timesteps
        if not any(image.bound for image in self._images) or self._abandoned is timesteps:
            return None
        try:
            with ordinary():
                return (), self._arguments(inner(unet), args, kwargs)
        except Mismatch as error:
            _log.warning("ToMe: %s", error)
            self._reports.fail(f"sampled without ToMe: {error}")
        except Exception as error:
            _log.exception("ToMe failed; the images are sampled without it")
            self._reports.fail(f"ToMe failed, so the rest is sampled without it: {type(error).__name__}: {error}")
        self._abandoned = timesteps
        return None

    def _arguments(self, unet: nn.Module, args: Any, kwargs: Any) -> dict[str, Any]:
        guided = getattr(self._pipe, "do_classifier_free_guidance", None)
        call = UNetCall.of(args, kwargs, len(self._images), guided=None if guided is None else bool(guided))
        run = self._run
        if run is None or run.ends_before(self._pipe.scheduler.timesteps, call.timestep):
            run = self._run = self._begin(call)
        place = run.schedule.place(run.index, call.timestep)
        if self._settings.ets != "off" and not run.substituted and reached(place, self._settings.ets_start):
            run.tokens = substitute_ends(run.tokens, run.encoded, self._settings)
            run.substituted = True
        step = self._describe(unet, call, run, place)
        latents = None
        if step is not None and in_window(step, self._settings) and not run.failed:
            latents = self._refine(step, run)
        last = run.index + 1 >= run.schedule.total
        maps = maps_due(place, self._settings, refines=self._settings.refines, last=last)
        if step is not None and self._record_maps and not run.recorded and maps:
            run.recorded = True
            self._record(step if latents is None else replace(step, latents=latents), run)
        run.index += 1
        keep = self._settings.pooled == "keep"
        pooled = [None if keep else image.prompt.vector for image in self._images]
        return call.changed(run.tokens.context, latents, pooled)

    def _begin(self, call: UNetCall) -> _Run:
        compare(call, self._images)
        schedule = Schedule(self._pipe.scheduler, call.timestep)
        if self._settings.refines:
            self._look_ahead(schedule)
        encoded = [image.prompt.encoded(row) for row, image in zip(call.conditioning, self._images, strict=True)]
        return _Run(schedule, encoded, compose(encoded, self._settings), schedule.start)

    def _look_ahead(self, schedule: Schedule) -> None:
        """Tell the user of a run that has no step to refine."""
        coming = enumerate(schedule.coming, schedule.start)
        if not any(inside(place, index, self._settings) for index, place in coming):
            self._reports.warn(nothing_refined(schedule.coming[0], self._settings))

    def _describe(self, unet: nn.Module, call: UNetCall, run: _Run, place: float) -> Step | None:
        """The call as the refinement sees it; None, once with a warning, for a scheduler it cannot follow."""
        if not (self._settings.refines or self._record_maps) or run.failed:
            return None
        scheduler = self._pipe.scheduler
        try:
            sigma = noise_level(scheduler, call.timestep)
            to_noise = noise_of(scheduler, sigma)
        except ValueError as error:
            (self._reports.fail if self._settings.refines else self._reports.warn)(f"no refinement: {error}")
            run.failed = True
            return None
        null = call.null
        if null is None and self._null is not None:
            null = self._null.expand(len(self._images), -1, -1)
        return Step(
            unet=unet,
            latents=call.latents,
            predict=call.predictor(unet, to_noise, blank_pooled=self._settings.loss_pooled == "zeros"),
            index=min(run.index, run.schedule.total - 1),
            total=run.schedule.total,
            sigma=sigma,
            null=null,
            guidance=float(getattr(self._pipe, "guidance_scale", 1.0) or 1.0),
            resizable=call.resizable,
            noise_place=place,
        )

    def _refine(self, step: Step, run: _Run) -> Tensor | None:
        """Refine the run's tokens; the latents for this call's prediction where they are other ones."""

        def work(settings: Settings) -> tuple[Tokens, Tensor, Report]:
            with recordable(step.unet), gradients_through(step.unet):
                return refine(step, run.tokens, settings)

        def report(error: Exception) -> None:
            _log.exception("ToMe's refinement failed; the images are sampled without it")

        release = partial(release_memory, step.latents.device)
        attempt = with_less_memory(work, self._settings, release=release, report=report)
        self._settings = attempt.settings
        if attempt.result is None:
            run.failed = True
            _log.warning("ToMe: %s", attempt.failure)
            self._reports.fail(attempt.failure)
            return None
        tokens, latents, found = attempt.result
        self._reports.note(run.index - run.schedule.start, tokens, found)
        run.moved |= {image for image in range(len(self._images)) if moved(image, run.tokens, tokens, found)}
        self._reports.judge([image in run.moved for image in range(len(self._images))], run.flagged)
        run.tokens = tokens
        return latents if self._settings.latent_step and latents is not step.latents else None

    def _record(self, step: Step, run: _Run) -> None:
        """The attention maps of the composite tokens, from one pass that ends after the last layer needed."""
        try:
            with recordable(step.unet):
                self._maps(step, run)
        except (RuntimeError, ValueError) as error:
            self._reports.warn(f"no attention maps: {error}")

    @torch.no_grad()
    def _maps(self, step: Step, run: _Run) -> None:
        tokens = run.tokens
        images = sorted(set(tokens.image))
        probabilities = attention(
            step, tokens.context, step.latents, images, select_layers(step.unet, self._settings.layers)
        )
        size = map_size((step.latents.shape[-2], step.latents.shape[-1]), probabilities.shape[1])
        for row, image in enumerate(images):
            for number, group in zip(tokens.objects_of([image]), run.encoded[image].located.groups, strict=True):
                one = paper_maps(probabilities[row][:, tokens.position[number]][None])[0]
                self.report[image].maps.append((label_of(group), one.view(size).cpu()))


@dataclass
class _Run:
    """One sampling run: its place in the noise schedule, its tokens, and how far it has come.

    ``index``: the coming call's, in the whole schedule. ``moved``: the images whose tokens a step has moved;
    ``flagged``: those reported because none has.
    """

    schedule: Schedule
    encoded: list[Encoded]
    tokens: Tokens
    index: int
    substituted: bool = False
    recorded: bool = False
    failed: bool = False
    moved: set[int] = field(default_factory=set)
    flagged: set[int] = field(default_factory=set)

    def ends_before(self, timesteps: Tensor, timestep: float) -> bool:
        """Whether a call at ``timestep`` is no longer of this run: another schedule, or its begin once more."""
        again = self.index >= self.schedule.total and timestep >= self.schedule.first
        return self.schedule.timesteps is not timesteps or again
