"""A job from the script's callbacks to the image: what the WebUI calls, in the order in which it does.

    job = start(p, options)                    Script.process, where ToMe is enabled
    job_of(p).before_sampling(p, x, noise, c, uc)   Script.process_before_every_sampling
    on_denoise(params)                         script_callbacks.on_cfg_denoiser
    on_denoised(params)                        script_callbacks.on_cfg_denoised
    job_of(p).finish(p, processed)             Script.postprocess

``job_of`` is None for a job without ToMe, and then nothing here runs.
"""

from __future__ import annotations

from typing import Any, Protocol

from tome_ext.settings import Settings


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

    def before_sampling(self, p: Any, x: Any, noise: Any, c: Any, uc: Any) -> None:
        """A sampling pass is about to begin: read and encode the prompts' texts."""

    def on_denoise(self, params: Any) -> None:
        """A model call is about to be made: give it the merged and refined text."""

    def finish(self, p: Any, processed: Any) -> None:
        """All images are made: show the attention maps, and let go of everything."""


def start(p: Any, options: JobOptions) -> Job:
    """Begin ToMe in the job ``p``; the state lives on ``p`` alone."""
    raise NotImplementedError


def stop(p: Any) -> None:
    """Take ToMe off the job ``p``, where it has any (a disabled job that reuses ``p``)."""


def job_of(p: Any) -> Job | None:
    """The job of ``p`` itself; None where there is none, also for a copy of a ``p`` that has one."""
    raise NotImplementedError


def on_denoise(params: Any) -> None:
    """For ``script_callbacks.on_cfg_denoiser``."""


def on_denoised(params: Any) -> None:
    """For ``script_callbacks.on_cfg_denoised``."""
