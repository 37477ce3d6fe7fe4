"""A job from the script's callbacks to the image: what the WebUI calls, in the order in which it does.

    job = start(p, options, entries)      Script.process, where ToMe is enabled (else stop(p))
    job_of(p).before_batch(p)             Script.before_process_batch
    job_of(p).before_sampling(p, c)       Script.process_before_every_sampling
    on_denoise(params)                    script_callbacks.on_cfg_denoiser
    on_denoised(params)                   script_callbacks.on_cfg_denoised
    job_of(p).finish(p, processed)        Script.postprocess

``job_of`` is None for a job without ToMe, and then nothing here runs. Whatever goes wrong, the image comes out, with a
comment under it, an entry in its infotext, and the traceback on the console.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

from tome_ext.hosts.common.maps import HeatMap
from tome_ext.hosts.common.memory import out_of_memory
from tome_ext.hosts.webui.protocol import AFTER, Call, Host
from tome_ext.hosts.webui.sampling.asked import UNREFINED, Batch, JobOptions, PassState, first_line
from tome_ext.hosts.webui.sampling.maps import add_pictures, in_grid
from tome_ext.hosts.webui.sampling.progress import forget
from tome_ext.hosts.webui.sampling.sampling_pass import SamplingPass
from tome_ext.hosts.webui.sampling.summary import Summary
from tome_ext.hosts.webui.ui.infotext import written
from tome_ext.method.backward.quantised import NoGradient
from tome_ext.prompts import GroupSyntaxError
from tome_ext.settings import Settings

_ATTRIBUTE = "_tome_job"
# What of the prompts was left alone, in the infotext.
NOTE = "ToMe note"
_MAX_COMMENTS = 12
_WITHOUT = "the image is made without ToMe"
_UNREFINED = "tokens are merged, not refined"


class Job:
    """ToMe in one job of the WebUI. ``entries``: its settings, as they stand in the infotext."""

    def __init__(self, host: Host, p: Any, options: JobOptions, entries: Mapping[str, str]) -> None:
        self._host, self._options, self._entries = host, options, dict(entries)
        self._p = weakref.ref(p)
        self._pass: SamplingPass | None = None
        self._second = False
        self._states = {second: PassState() for second in (False, True)}
        self._batch = Batch.alike(options, getattr(p, "batch_size", 1))
        self._unreadable = ""  # groups that no batch can be made with
        self._failed = self._merged = False  # in this batch
        self._failure = self._note = ""
        self._no_passes = ""
        self._show_maps = options.show_maps and not in_grid(p)
        self._maps: dict[int, list[HeatMap]] = {}
        self._comments: list[str] = []
        self._summary = Summary()

    def belongs_to(self, p: Any) -> bool:
        """Whether this is the job of ``p``, and not of another that ``p`` was copied from."""
        return self._p() is p

    def before_batch(self, p: Any, batch: Batch | None = None) -> None:
        """Another batch of images begins: with tokens and an infotext of its own.

        ``batch``: what its images were asked to have; None: what the job was.
        """
        self._batch = batch or Batch.alike(self._options, len(p.prompts))
        self._end_pass()
        self._second = False
        self._failed = self._merged = False
        self._failure = self._note = ""
        none = all(own is None for own in (*self._batch.first, *self._batch.second))
        p.extra_generation_params = written(p.extra_generation_params, {} if none else self._entries)
        if self._unreadable:
            self._skip_batch(p, self._unreadable)

    def before_sampling(self, p: Any, c: Any) -> None:
        """A sampling pass is about to begin: read and encode the prompts' texts."""
        self._end_pass()
        self._second = bool(getattr(p, "is_hr_pass", False))
        self._begin(p, c)

    def on_denoise(self, params: Any) -> None:
        """A model call is about to be made: give it the merged and refined text."""
        if self._failed or not self._settings:
            return
        p = params.denoiser.p
        call = self._host.call(params)
        if self._pass is None or self._pass.conditioning is not call.conditioning:
            self._end_pass()
            self._begin(p, call.conditioning)
        if self._pass is not None and self._pass.active:
            self._apply(p, call, self._pass)

    def note_failure(self, p: Any, what: str, error: Exception) -> None:
        """A part of ToMe has failed, while the rest of it is in the image."""
        self._write_failure(p, self._describe(p, what, error))

    def finish(self, p: Any, processed: Any) -> None:
        """All images are made: show the attention maps, say what was done, and let go of everything."""
        self._end_pass()
        line = self._summary.line()
        processed.comments += f"{line}\n" if line else ""
        try:
            add_pictures(p, processed, self._maps, stride=1 + self._host.mask_count(p))
        except Exception as error:
            self._host.log_exception("ToMe: the attention maps could not be shown")
            self._comment(p, f"the attention maps could not be shown ({type(error).__name__}: {error})")
            processed.comments += f"{self._comments[-1]}\n"
        finally:
            stop(p)

    def release(self) -> None:
        """Let go of the pass, which knows the job and ``p``: nothing of the job waits for the garbage collector."""
        self._pass = None
        forget()

    def _end_pass(self) -> None:
        if self._pass is not None:
            self._summary.add(self._pass)
        self._pass = None
        forget()

    @property
    def _settings(self) -> list[Settings | None]:
        """What each image is given in the pass that runs; empty where none is given anything."""
        found = self._batch.settings(self._second)
        return found if any(own is not None for own in found) else []

    def _begin(self, p: Any, conditioning: Any) -> None:
        """Prepare a pass; where that fails, its images are made without ToMe."""
        settings = self._settings
        if self._failed or not settings:
            return
        if self._host.unet() is None:
            self._skip_batch(p, f"this model has no UNet with cross-attention layers; {_WITHOUT}")
            return
        state = self._states[self._second]
        wanted = any(own is not None and own.refines for own in settings)
        self._no_passes = self._host.pass_obstacle()
        obstacle = self._no_passes or self._host.refinement_obstacle() if wanted and not state.refinement_lost else ""
        try:
            with self._summary.timed(), self._host.ordinary_tensors():
                self._pass = SamplingPass(
                    self._host,
                    p,
                    [None if own is None else own.replace(**state.changes) for own in settings],
                    conditioning,
                    second=self._second,
                    refine=wanted and not obstacle,
                    comment=lambda text: self._comment(p, text),
                    comment_failure=lambda text: self._comment_failure(p, text),
                )
        except GroupSyntaxError as error:
            self._unreadable = f"{first_line(str(error))}; {_WITHOUT}"
            self._skip_batch(p, self._unreadable)
        except Exception as error:
            self._skip_batch(p, self._describe(p, f"the prompt could not be read or encoded; {_WITHOUT}", error))
        else:
            if self._pass.notes and not self._second:
                self._note = first_line("; ".join(self._pass.notes))
                p.extra_generation_params = {**p.extra_generation_params, NOTE: self._note}
            self._explain_limits(p, self._pass, state.refinement_lost if wanted else "", obstacle)

    def _explain_limits(self, p: Any, begun: SamplingPass, refinement_lost: str, obstacle: str) -> None:
        """Comment what a pass that begins has to do without."""
        if begun.active and (refinement_lost or obstacle):
            self._comment_failure(p, refinement_lost or f"{_UNREFINED}: {obstacle}")
        no_maps = self._no_passes if self._show_maps else "not in a grid"
        if self._options.show_maps and no_maps:
            self._comment(p, f"no attention maps: {no_maps}")

    def _apply(self, p: Any, call: Call, at: SamplingPass) -> None:
        maps = self._show_maps and not self._no_passes and not (self._second and self._maps)
        text = ""
        try:
            with self._summary.timed(), self._host.ordinary_tensors():
                at.apply(call, maps=maps)
        except NoGradient as error:
            memory, text = False, f"{_UNREFINED}: {error}"
        except Exception as error:
            memory = out_of_memory(error)
            if not memory:
                text = self._describe(
                    p,
                    "refinement failed: continuing without it" if at.refine else "failed: continuing without ToMe",
                    error,
                )
        else:
            self._merged = True
            self._collect(p, at)
            return
        # Outside the handlers, where the failed pass's tensors are no longer held.
        self._host.free_memory()
        if not at.refine:
            self._skip_batch(p, text or "out of memory: continuing without ToMe")
            return
        state = self._states[self._second]
        automatic = any(own is not None and own.checkpointing == "auto" for own in self._settings)
        if memory and automatic and not state.changes:
            state.changes = {"checkpointing": "on"}
        else:
            state.refinement_lost = text or "out of memory: continuing without refinement"
            state.changes = UNREFINED
            self._comment_failure(p, state.refinement_lost)
        at.change(**state.changes)
        self._apply(p, call, at)

    def _collect(self, p: Any, at: SamplingPass) -> None:
        first = getattr(p, "iteration", 0) * p.batch_size
        for image, maps in at.maps.items():
            self._maps.setdefault(first + image, maps)

    def _skip_batch(self, p: Any, text: str) -> None:
        """The rest of this batch is made without ToMe."""
        self._failed, self._failure = True, ""
        self._comment_failure(p, text)

    def _comment_failure(self, p: Any, text: str) -> None:
        self._comment(p, text)
        self._write_failure(p, text)

    def _write_failure(self, p: Any, text: str) -> None:
        """The failure in the batch's infotext: beside the settings, or in their place where no image has any of it."""
        self._failure = self._failure or first_line(text)
        ours = {} if self._failed and not self._merged else self._entries
        ours = {**ours, NOTE: self._note} if self._note else ours
        p.extra_generation_params = written(p.extra_generation_params, ours, self._failure)

    def _describe(self, p: Any, what: str, error: Exception) -> str:
        """Report an error that is being handled; how it was said."""
        text = f"{what} ({type(error).__name__}: {error})"
        self._host.log_exception(f"ToMe: {what}")
        self._comment(p, text)
        return text

    def _comment(self, p: Any, text: str) -> None:
        line = f"ToMe: {text}"
        if line not in self._comments and len(self._comments) < _MAX_COMMENTS:
            self._comments.append(line)
            self._host.comment(p, line)


def start(p: Any, options: JobOptions, entries: Mapping[str, str] | None = None) -> Job:
    """Begin ToMe in the job ``p``, whose infotext has these ``entries``; the state lives on ``p`` alone."""
    job = Job(_host(), p, options, entries or {})
    setattr(p, _ATTRIBUTE, job)
    return job


def stop(p: Any) -> None:
    """Take ToMe off the job ``p``, where it has any: a disabled job may come with a copied ``p``."""
    job = getattr(p, _ATTRIBUTE, None)
    if job is not None:
        delattr(p, _ATTRIBUTE)
        if job.belongs_to(p):
            job.release()


def job_of(p: Any) -> Job | None:
    """The job of ``p`` itself; None where there is none, also for a copy of a ``p`` that has one."""
    job = getattr(p, _ATTRIBUTE, None)
    return job if job is not None and job.belongs_to(p) else None


def on_denoise(params: Any) -> None:
    """For ``script_callbacks.on_cfg_denoiser``."""
    job = job_of(params.denoiser.p)
    if job is not None:
        job.on_denoise(params)


def on_denoised(params: Any) -> None:
    """For ``script_callbacks.on_cfg_denoised``."""
    p, after = vars(params.inner_model).pop(AFTER, (None, None))
    if after is None:
        return
    try:
        after(params)
    except Exception as error:
        job = job_of(p)
        if job is None:
            raise
        job.note_failure(p, "the latent step could not be undone", error)


def _host() -> Host:
    """The WebUI that runs, chosen by what it can do; imported only here, where there is one."""
    from modules import shared

    from tome_ext.hosts.webui.backends.detect import host_for

    return host_for(shared.sd_model)
