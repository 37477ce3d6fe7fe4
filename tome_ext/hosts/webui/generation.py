"""A job from the script's callbacks to the image: what the WebUI calls, in the order in which it does.

    job = start(p, options)                         Script.process, where ToMe is enabled (else stop(p))
    job_of(p).before_sampling(p, x, noise, c, uc)   Script.process_before_every_sampling
    on_denoise(params)                              script_callbacks.on_cfg_denoiser
    on_denoised(params)                             script_callbacks.on_cfg_denoised
    job_of(p).finish(p, processed)                  Script.postprocess

``job_of`` is None for a job without ToMe, and then nothing here runs. Whatever goes wrong, the image comes out, with a
comment under it and the traceback on the console. Where a part of the method is missing, its infotext says so as well.
"""

from __future__ import annotations

import weakref
from typing import Any, Protocol

import torch

from tome_ext.hosts.webui.infotext import FAILURE
from tome_ext.hosts.webui.maps import HeatMap, picture
from tome_ext.hosts.webui.protocol import AFTER, Call, Host
from tome_ext.hosts.webui.sampling_pass import SamplingPass
from tome_ext.settings import Settings
from tome_ext.words import GroupSyntaxError

_ATTRIBUTE = "_tome_job"
_MOST_COMMENTS = 12


class JobOptions(Protocol):
    """What the user asked for (:class:`tome_ext.hosts.webui.options.Options`)."""

    @property
    def settings(self) -> Settings:
        """The settings of the method."""
        ...

    @property
    def hires(self) -> str:
        """What the second pass of hires fix gets: "refine", "merge" or "off"."""
        ...

    @property
    def show_maps(self) -> bool:
        """Whether to add attention maps to the gallery."""
        ...


class Job:
    """ToMe in one job of the WebUI."""

    def __init__(self, host: Host, p: Any, options: JobOptions) -> None:
        self._host, self._options, self._settings = host, options, options.settings
        self._p = weakref.ref(p)
        self._pass: SamplingPass | None = None
        self._second = False
        self._failed = False
        self._closed = ""
        self._maps: dict[int, list[HeatMap]] = {}
        self._said: list[str] = []

    def belongs_to(self, p: Any) -> bool:
        """Whether this is the job of ``p``, and not of another that ``p`` was copied from."""
        return self._p() is p

    def before_sampling(self, p: Any, x: Any, noise: Any, c: Any, uc: Any) -> None:
        """A sampling pass is about to begin: read and encode the prompts' texts."""
        self._pass = None
        self._second = bool(getattr(p, "is_hr_pass", False))
        self._begin(p, c)

    def on_denoise(self, params: Any) -> None:
        """A model call is about to be made: give it the merged and refined text."""
        if self._failed or (self._second and self._options.hires == "off"):
            return
        p = params.denoiser.p
        call = self._host.call(params)
        if self._pass is None or self._pass.conditioning is not call.conditioning:
            self._begin(p, call.conditioning)
        if self._pass is not None and self._pass.active:
            self._apply(p, call, self._pass)

    def finish(self, p: Any, processed: Any) -> None:
        """All images are made: show the attention maps, and let go of everything."""
        try:
            self._show_maps(p, processed)
        except Exception as error:
            self._host.report("ToMe: the attention maps could not be shown")
            self._say(p, f"the attention maps could not be shown ({type(error).__name__}: {error})")
            processed.comments += f"{self._said[-1]}\n"
        finally:
            stop(p)

    def _begin(self, p: Any, conditioning: Any) -> None:
        """Prepare a pass; where that fails, its images are made without ToMe."""
        if self._failed or (self._second and self._options.hires == "off"):
            return
        settings = self._settings
        if self._host.unet() is None:
            self._failed = True
            self._lack(p, "this kind of model has no cross-attention to merge tokens for; the image is made without it")
            return
        refine = settings.refines and not (self._second and self._options.hires == "merge")
        self._closed = self._host.closed()
        obstacle = self._closed or self._host.obstacle() if refine else ""
        try:
            with self._host.ours():
                self._pass = SamplingPass(
                    self._host,
                    p,
                    settings,
                    conditioning,
                    second=self._second,
                    refine=refine and not obstacle,
                    say=lambda text: self._say(p, text),
                )
            if obstacle and self._pass.active:
                self._lack(p, f"tokens are merged but not refined: {obstacle}")
            if self._closed and self._options.show_maps:
                self._say(p, f"no attention maps: {self._closed}")
        except GroupSyntaxError as error:
            self._failed = True
            self._lack(p, f"groups: {error}; the image is made without it")
        except Exception as error:
            self._failed = True
            self._fail(p, "the prompt could not be prepared; the image is made without it", error)

    def _apply(self, p: Any, call: Call, at: SamplingPass) -> None:
        maps = self._options.show_maps and not self._closed and not (self._second and self._maps)
        try:
            with self._host.ours():
                at.apply(call, maps=maps)
        except Exception as error:
            memory = out_of_memory(error)
            if not memory:
                self._fail(p, "refinement failed; the rest is made without it" if at.refine else "failed", error)
        else:
            self._collect(p, at)
            return
        # Outside the handlers, where the failed pass's tensors are no longer held.
        self._host.release()
        if not at.refine:
            self._failed = True
            return
        if memory and self._settings.checkpointing == "auto":
            self._settings = self._settings.replace(checkpointing="on")
        else:
            if memory:
                self._lack(p, "the memory did not suffice for refinement; the rest is made without it")
            self._settings = self._settings.replace(iterations=0, binding_iterations=0)
        at.settings = self._settings
        self._apply(p, call, at)

    def _collect(self, p: Any, at: SamplingPass) -> None:
        first = getattr(p, "iteration", 0) * p.batch_size
        for image, maps in at.maps.items():
            self._maps.setdefault(first + image, maps)

    def _show_maps(self, p: Any, processed: Any) -> None:
        """One more picture for each image behind all others, each with its image's infotext."""
        first, texts, images = processed.index_of_first_image, processed.infotexts, processed.images
        # Masks may stand behind each image; infotexts count the images alone.
        stride = max(1, (len(images) - first) // max(1, len(texts) - first))
        shown = [number for number in sorted(self._maps) if first + number < len(texts)]
        tables = [picture(images[first + number * stride], self._maps[number]) for number in shown]
        own = [texts[first + number] for number in shown]
        texts += [processed.info] * (len(images) - len(texts))
        for table, text in zip(tables, own, strict=True):
            table.info["parameters"] = text
        images += tables
        texts += own

    def _fail(self, p: Any, what: str, error: Exception) -> None:
        self._host.report(f"ToMe: {what}")
        self._lack(p, f"{what} ({type(error).__name__}: {error})")

    def _lack(self, p: Any, text: str) -> None:
        """Say that images lack a part of the method, in their infotext too: the API's answers have no comments."""
        p.extra_generation_params.setdefault(FAILURE, text)
        self._say(p, text)

    def _say(self, p: Any, text: str) -> None:
        line = f"ToMe: {text}"
        if line not in self._said and len(self._said) < _MOST_COMMENTS:
            self._said.append(line)
            self._host.comment(p, line)


def out_of_memory(error: Exception) -> bool:
    """Whether a device had too little memory, whichever it is."""
    return isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in str(error)


def start(p: Any, options: JobOptions) -> Job:
    """Begin ToMe in the job ``p``; the state lives on ``p`` alone."""
    job = Job(_host(), p, options)
    setattr(p, _ATTRIBUTE, job)
    return job


def stop(p: Any) -> None:
    """Take ToMe off the job ``p``, where it has any: a disabled job may come with a copied ``p``."""
    if hasattr(p, _ATTRIBUTE):
        delattr(p, _ATTRIBUTE)


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
    after = vars(params.inner_model).pop(AFTER, None)
    if after is not None:
        after(params)


def _host() -> Host:
    """The WebUI that runs, chosen by what it can do; imported only here, where there is one."""
    from modules import shared

    from tome_ext.hosts.webui.choice import host_for

    return host_for(shared.sd_model)
