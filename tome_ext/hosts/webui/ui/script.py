"""The always-on script: from the WebUI's callbacks to a job, and errors to a comment under the image."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from modules import script_callbacks, scripts

from tome_ext.hosts.common.infotext import FAILURE, KEY, PARSER, VERSION
from tome_ext.hosts.webui.ui import api, preferences, tags, xyz
from tome_ext.hosts.webui.ui.controls import Controls
from tome_ext.hosts.webui.ui.infotext import entries, reader, written
from tome_ext.hosts.webui.ui.options import TITLE, Options, arguments
from tome_ext.settings import SettingError

_GENERATION = "tome_ext.hosts.webui.sampling.job"


class ToMeScript(scripts.Script):  # type: ignore[misc]
    """Token merging for semantic binding, in txt2img and img2img."""

    def __init__(self) -> None:
        self._boxes: dict[str, Any] = {}

    def title(self) -> str:
        """The name by which the API and the XYZ plot know the script."""
        return TITLE

    def show(self, is_img2img: bool) -> object:
        """Always, in both tabs."""
        return scripts.AlwaysVisible

    def after_component(self, component: Any, **kwargs: Any) -> None:
        """Keep the tab's own controls that the panel looks at."""
        for name in ("prompt", "styles", "steps", "cfg_scale"):
            if kwargs.get("elem_id") == f"{self.tabname}_{name}":
                self._boxes[name] = component

    def ui(self, is_img2img: bool) -> list[Any]:
        """The controls, in the order of the script arguments. Called again for the API's defaults."""
        controls = Controls(self.elem_id, second_pass=not is_img2img)
        controls.build()
        controls.connect(self._boxes)
        # The tab's boxes belong to the page that is built first; the API's second call has no page.
        self._boxes = {}
        found = controls.by_name
        self.infotext_fields = [(found[argument.name], reader(argument.name)) for argument in arguments()]
        self.paste_field_names = [reader(argument.name) for argument in arguments()]
        return [found[argument.name] for argument in arguments()]

    def process(self, p: Any, *args: Any) -> None:
        """Begin a job, where ToMe is on."""
        _forget(p)
        try:
            options = Options.from_args(args)
        except SettingError as error:
            _refuse(p, str(error))
            return
        if options.enabled:
            _safely(p, lambda: _start(p, options))
        elif _job(p) is not None:
            sys.modules[_GENERATION].stop(p)

    def before_process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """Prepare the job for the next of its batches, or begin it where a tag in a prompt asks for it."""
        prompts = kwargs.get("prompts", [])
        _forget_tag(p)
        if _job(p) is not None or tags.tagged(p, prompts):
            _safely(p, lambda: _begin_batch(p, args, prompts))

    def process_before_every_sampling(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """Prepare the job for a sampling run: the first pass, hires fix, img2img."""
        job = _job(p)
        if job is not None:
            _safely(p, lambda: job.before_sampling(p, kwargs["c"]))

    def postprocess(self, p: Any, processed: Any, *args: Any) -> None:
        """Add what the job has to show."""
        job = _job(p)
        if job is not None:
            _safely(p, lambda: job.finish(p, processed))


def register() -> None:
    """Tell the WebUI about the callbacks outside the script; once for each time it loads its scripts."""
    script_callbacks.on_cfg_denoiser(_on_denoise)
    script_callbacks.on_cfg_denoised(_on_denoised)
    script_callbacks.on_before_ui(xyz.add_axes)
    script_callbacks.on_before_ui(tags.register)
    script_callbacks.on_ui_settings(preferences.add_options)
    with contextlib.suppress(Exception):
        xyz.add_axes()  # without a page, on_before_ui comes too late
    with contextlib.suppress(Exception):
        tags.register()
    script_callbacks.on_app_started(api.add_routes)


def _start(p: Any, options: Options) -> None:
    from tome_ext.hosts.webui.sampling import job as generation

    ours = entries(options)
    generation.start(p, options, ours)
    p.extra_generation_params.update(ours)


def _begin_batch(p: Any, args: Sequence[Any], prompts: list[str]) -> None:
    """What the tags in the prompts say counts over the panel; they stay in the infotext, as those of LoRA do."""
    from tome_ext.hosts.webui.sampling.asked import Batch

    tags.spell_out(p, prompts)
    first, second, problems = tags.asked(p, prompts, Options.from_args(args))
    for problem in problems:
        p.comment(f"ToMe: {problem}")
    if any(first) or any(second):
        job = _job(p) or _start_by_tag(p, Options.from_args(args))
        job.before_batch(p, Batch(first, second))
    elif _job(p) is not None:
        _job(p).before_batch(p, Batch(first, second))
    if problems:
        p.extra_generation_params = {**p.extra_generation_params, FAILURE: problems[0]}


def _start_by_tag(p: Any, options: Options) -> Any:
    """A job whose infotext has no settings of the panel's: what counts stands in the prompt."""
    from tome_ext.hosts.webui.sampling import job as generation

    ours = {key: text for key, text in entries(options).items() if key in (PARSER, VERSION)}
    job = generation.start(p, options, ours)
    p.extra_generation_params.update(ours)
    return job


def _job(p: Any) -> Any:
    """The job of ``p``, None where ToMe is off. Nothing is imported for a job that has none."""
    generation = sys.modules.get(_GENERATION)
    return None if generation is None else generation.job_of(p)


def _on_denoise(params: Any) -> None:
    generation = sys.modules.get(_GENERATION)
    if generation is not None:
        _safely(getattr(params.denoiser, "p", None), lambda: generation.on_denoise(params))


def _on_denoised(params: Any) -> None:
    generation = sys.modules.get(_GENERATION)
    if generation is not None:
        _safely(None, lambda: generation.on_denoised(params))


def _safely(p: Any, act: Callable[[], object]) -> None:
    """Whatever goes wrong, the image comes out; a comment and the console say what happened."""
    try:
        act()
    except Exception as error:
        if type(error).__name__ == "InterruptedException":
            raise
        _refuse(p, f"{type(error).__name__}: {error}")
        traceback.print_exc()


def _forget(p: Any) -> None:
    """Take our entries out of the infotext. The cells of a grid begin with those of the cell before."""
    if any(str(key).startswith(KEY) for key in p.extra_generation_params):
        p.extra_generation_params = written(p.extra_generation_params, {})


def _forget_tag(p: Any) -> None:
    """A wrong tag stands in the infotext of its own batch alone."""
    if str(p.extra_generation_params.get(FAILURE, "")).startswith(tags.LEFT_OUT):
        p.extra_generation_params = {k: v for k, v in p.extra_generation_params.items() if k != FAILURE}


def _refuse(p: Any, reason: str) -> None:
    """The image is made without ToMe: say so under it, in its infotext (the API's answer) and on the console."""
    if p is not None:
        if _job(p) is not None:
            sys.modules[_GENERATION].stop(p)
        p.comment(f"ToMe was not used: {reason}")
        p.extra_generation_params = written(p.extra_generation_params, {}, reason)
    print(f"[ToMe] the image is made without it: {reason}", file=sys.stderr)
