"""Refinement within ComfyUI's sampling: what the wrappers of *ToMe Refine* do.

    outer_sample      a run of a sampler node begins and ends
    predict_noise     the sampler calls the model
    calc_cond_batch   the model call with its conditionings, from any guider

Each conditioning that *ToMe Text Encode* made is refined on its own, image by image; nothing depends on what else is in
the batch. All others go through as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import comfy.model_management
import torch
from torch import Tensor

from tome_ext.hosts.comfyui.bound import KEY, Bound, given_tokens
from tome_ext.hosts.comfyui.call import CondPart, ModelCall, data_scale
from tome_ext.hosts.comfyui.course import Course
from tome_ext.hosts.comfyui.report import Entry, RunReport
from tome_ext.hosts.comfyui.run import ImageTokens, Row, Run
from tome_ext.hosts.common.maps import heat_maps, maps_due
from tome_ext.hosts.common.memory import release_memory, with_less_memory
from tome_ext.hosts.common.passes import uncompiled
from tome_ext.method.backward.autograd import differentiable, ordinary
from tome_ext.method.refine import in_window, refine
from tome_ext.method.state import Report, Step, Tokens
from tome_ext.method.window import inside, noise_place, nothing_refined, reached
from tome_ext.settings import Settings

_log = logging.getLogger(__name__)

_CHANGED = (
    "a conditioning was changed after ToMe Text Encode (averaged or zeroed, say), so it is sampled as it is, without "
    "refinement"
)
_NO_NEGATIVE = "without a negative conditioning phrases have no sampling run of their own: phrase_latent = same"

_WINDOWS = "with context windows tokens are merged, not refined"

Tell = Callable[[str], None]


class _Interrupted(BaseException):
    """The host's interrupt on its way out; no failure of ours."""


class Refinement:
    """ToMe in the sampling runs of one model. ``report`` is of the last one, ``tell`` shows the user a line of it."""

    def __init__(self, report: RunReport, tell: Tell, *, maps: bool) -> None:
        self._report, self._tell, self._maps = report, tell, maps
        self._run: Run | None = None

    def outer_sample(self, executor: Any, noise: Tensor, latent_image: Tensor, *rest: Any, **more: Any) -> Any:
        """A run of a sampler node. One that adds no noise may go on with the tokens of another."""
        sigmas = more.get("sigmas", rest[1] if len(rest) > 1 else None)
        before, self._run = self._run, Run(latent_image, silent=not bool(torch.count_nonzero(noise)), sigmas=sigmas)
        self._report.clear()
        try:
            made = executor(noise, latent_image, *rest, **more)
            self._run.keep(made)
            return made
        finally:
            self._run = before
            self._tell(self._report.line())

    def predict_noise(self, executor: Any, *args: Any, **more: Any) -> Any:
        """The sampler calls the model: a step may be refined again."""
        if self._run is not None:
            self._run.call += 1
            self._run.guidance = float(getattr(executor.class_obj, "cfg", 1.0) or 1.0)
        return executor(*args, **more)

    def calc_cond_batch(
        self, executor: Any, model: Any, conds: Any, x_in: Tensor, timestep: Tensor, model_options: Any
    ) -> Any:
        """A model call: with merged and refined text where there is any."""
        run = self._run
        if run is None or run.off:
            return executor(model, conds, x_in, timestep, model_options)
        if model_options.get("context_handler") is not None:
            self._say(_WINDOWS)
            return executor(model, conds, x_in, timestep, model_options)
        given, moved = conds, None
        try:
            call = ModelCall(model, conds, x_in, timestep, model_options, run.guidance)
            given, moved = self._apply(run, call)
        except comfy.model_management.InterruptProcessingException:
            raise
        except Exception as error:
            run.off = True
            _log.exception("ToMe failed; the rest is sampled without it")
            self._say(f"failed, so the rest is sampled without it: {type(error).__name__}: {error}")
        if moved is None:
            return executor(model, given, x_in, timestep, model_options)
        # Noise predicted at other latents; the sampler steps from its own.
        made = executor(model, given, moved.to(x_in), timestep, model_options)
        return [one + (x_in - moved.to(x_in)) for one in made]

    def _apply(self, run: Run, call: ModelCall) -> tuple[list[Any], Tensor | None]:
        """The conditionings with their tokens, and other latents for this call where there are any."""
        if run.course is None:
            levels = run.sigmas if run.sigmas is not None else call.timestep[:1]
            run.course = Course.of([float(level) / data_scale(call.model) for level in levels])
        made, seen, changed = [], set(), []
        latents: dict[int, Tensor] = {}
        for group in call.conds:
            out = []
            for cond in group or ():
                tokens, bound = given_tokens(cond), cond.get(KEY)
                if isinstance(bound, Bound) and tokens is not None:
                    if bound.is_in(tokens):
                        seen.add(cond.get("uuid"))
                        cond = self._cond(run, call, cond, latents)
                    else:
                        changed.append(cond.get("uuid"))
                out.append(cond)
            made.append(None if group is None else out)
        # Areas copy what they do not know into the negative conditioning: that is no change of the positive one.
        if set(changed) - seen:
            self._say(_CHANGED)
        if not latents:
            return made, None
        with ordinary():
            moved = call.x.clone()
            for image, latent in latents.items():
                moved[image] = latent[0].to(moved)
        return made, moved

    def _cond(self, run: Run, call: ModelCall, cond: Any, latents: dict[int, Tensor]) -> Any:
        """One conditioning with its tokens at this call; ``latents`` takes up those it is to be predicted at."""
        given = given_tokens(cond)
        assert given is not None
        row = self._row(run, cond, given, len(call.x))
        if len(row.images) != len(call.x):
            raise ValueError(f"the run has begun with {len(row.images)} image(s), and goes on with {len(call.x)}")
        part = None
        place, length = noise_place(call.level), len(row.bound.merged)
        if self._needs_passes(run, row, call, place):
            part = call.part(cond)
        with ordinary(), uncompiled(call.model):
            context = []
            for image, state in enumerate(row.images):
                self._substitute(row.bound, state, given, place)
                own = given[image % len(given)]
                if part is not None:
                    self._passes(run, part, row, image, own[:length], place)
                    if state.latents is not None and state.at == run.call and part.whole:
                        latents.setdefault(image, part.unscaled(state.latents))
                context.append(torch.cat([state.tokens.context[0].to(given), own[length:].clone()]))
            stacked = torch.stack(context)
        attention = cond["model_conds"]["c_crossattn"]
        return {**cond, "model_conds": {**cond["model_conds"], "c_crossattn": type(attention)(stacked)}}

    def _row(self, run: Run, cond: Any, given: Tensor, images: int) -> Row:
        key = cond.get("uuid")
        if key not in run.rows:
            bound: Bound = cond[KEY]
            number = sum(row.bound is bound for row in run.rows.values())
            row = run.continued(bound, number, images)
            if row is None:
                objects = [group.group.noun.text for group in bound.prompt.located.groups]
                with ordinary():
                    states = [ImageTokens(bound.tokens(given)) for _ in range(images)]
                row = Row(bound, states, [Entry(image, objects) for image in range(images)])
                assert run.course is not None
                if bound.settings.refines and bound.prompt.located.groups and not run.course.refines(bound.settings):
                    self._say(nothing_refined(noise_place(run.course.levels[0]), bound.settings))
            self._report.entries += row.entries
            run.rows[key] = row
        return run.rows[key]

    @staticmethod
    def _substitute(bound: Bound, state: ImageTokens, given: Tensor, place: float) -> None:
        settings = bound.settings
        if settings.ets != "off" and not state.substituted and reached(place, settings.ets_start):
            state.tokens = bound.substituted(state.tokens, given)
            state.substituted = True

    def _needs_passes(self, run: Run, row: Row, call: ModelCall, place: float) -> bool:
        settings, course = row.bound.settings, run.course
        assert course is not None
        due = inside(place, course.index(call.level), settings) and not run.refinement_ended
        unmapped = self._maps and not all(state.mapped for state in row.images)
        wanted = due or (unmapped and self._is_late(run, settings, call, place))
        return wanted and bool(row.bound.prompt.located.groups)

    def _is_late(self, run: Run, settings: Settings, call: ModelCall, place: float) -> bool:
        assert run.course is not None
        return maps_due(place, settings, refines=settings.refines, last=run.course.is_last(call.level))

    def _passes(self, run: Run, part: CondPart, row: Row, image: int, plain: Tensor, place: float) -> None:
        """Refine one image, once for each model call, and record its maps once the refinement is over."""
        course, state, settings = run.course, row.images[image], row.bound.settings.replace(**run.changes)
        assert course is not None
        if not state.tokens.image:
            return
        blank = settings.loss_pooled == "zeros"
        step = part.step(image, course.index(part.call.level), course.total, place, blank_pooled=blank)
        if in_window(step, settings) and state.at != run.call and not run.refinement_ended:
            self._refine(run, part, step, row, image, settings)
        if self._maps and not state.mapped and self._is_late(run, settings, part.call, place):
            state.mapped = True
            self._record(step, row, image, plain, settings)

    def _record(self, step: Step, row: Row, image: int, plain: Tensor, settings: Settings) -> None:
        own, groups = row.bound.plain.to(plain).clone(), row.bound.prompt.located.groups
        try:
            row.entries[image].maps = heat_maps(step, own, row.images[image].tokens, groups, settings.layers)
        except comfy.model_management.InterruptProcessingException:
            raise
        except Exception as error:
            _log.exception("ToMe: no attention maps")
            self._say(f"no attention maps: {type(error).__name__}: {error}")

    def _refine(self, run: Run, part: CondPart, step: Step, row: Row, image: int, settings: Settings) -> None:
        state = row.images[image]
        if settings.phrase_latent == "own" and step.null is None:
            self._say(_NO_NEGATIVE)
            settings = settings.replace(phrase_latent="same")

        def work(own: Settings) -> tuple[Tokens, Tensor, Report]:
            try:
                with differentiable(step.unet, changing=part.changing):
                    return refine(step, state.tokens, own)
            except comfy.model_management.InterruptProcessingException as error:
                raise _Interrupted from error

        def report(error: Exception) -> None:
            _log.exception("ToMe's refinement failed; the rest is sampled without it")

        try:
            release = partial(release_memory, step.latents.device)
            attempt = with_less_memory(work, settings, release=release, report=report)
        except _Interrupted as interrupted:
            raise comfy.model_management.InterruptProcessingException from interrupted
        if attempt.settings is not settings:
            run.changes["checkpointing"] = attempt.settings.checkpointing
        if attempt.result is None:
            run.refinement_off = True
            self._say(attempt.failure)
            return
        tokens, latents, found = attempt.result
        state.tokens, state.at = tokens, run.call
        state.latents = latents if settings.latent_step and latents is not step.latents else None
        row.entries[image].steps.append(found)
        for warning in found.warnings:
            self._say(warning)

    def _say(self, text: str) -> None:
        if text not in self._report.notes:
            self._report.notes.append(text)
            _log.warning("ToMe: %s", text)
            self._tell(text)
