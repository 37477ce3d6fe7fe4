"""The text of AUTOMATIC1111's WebUI: its encoders, its token chunks and its schedules. Import only where it runs."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from modules import devices, prompt_parser, sd_samplers, shared
from torch import Tensor

from tome_ext.hosts.common.text import Encoding
from tome_ext.hosts.webui.backends.controlnet import prefix_length
from tome_ext.hosts.webui.backends.notes import infotext_undisturbed
from tome_ext.hosts.webui.backends.tokenizers import stage_tokenizer
from tome_ext.hosts.webui.protocol import Entry, Schedule
from tome_ext.tokens import CHUNK


def schedules(p: Any, second: bool, conditioning: Any) -> list[list[Schedule]]:
    """The texts by image, part and step: by the host's own functions, compared with what it encoded."""
    prompts = p.hr_prompts if second else p.prompts
    indexes, flat, _ = prompt_parser.get_multicond_prompt_list(prompts)
    texts = _texts(flat, p.firstpass_steps, _second_pass_steps(p) if second else None)
    if [len(parts) for parts in indexes] != [len(parts) for parts in conditioning.batch]:
        raise LookupError("the prompts are not the ones that were encoded")
    return [
        [_schedule(texts[number], part.schedules) for (number, _), part in zip(parts, encoded, strict=True)]
        for parts, encoded in zip(indexes, conditioning.batch, strict=True)
    ]


class A1111TextEncoder:
    """The text encoders of a model of the WebUI, for an image size (SDXL looks at it)."""

    syntax = "a1111"
    chunk_length = CHUNK

    def __init__(self, model: Any, width: int, height: int) -> None:
        self._model, self._width, self._height = model, width, height
        self._tokenizer = self._find_tokenizer(model)
        if self._tokenizer is None:
            raise LookupError("this model's text encoder has no tokens that could be merged")

    def _find_tokenizer(self, model: Any) -> Any:
        return stage_tokenizer(model)

    def chunks(self, text: str) -> Sequence[Any]:
        """The host's token chunks."""
        return list(self._tokenizer.tokenize_line(text)[0])

    def ids(self, text: str) -> Sequence[int]:
        """The bare tokens."""
        return list(self._tokenizer.tokenize([text])[0])

    def encode(self, text: str) -> Encoding:
        """The encoding of one text alone ("Original" emphasis looks at the mean of a whole batch)."""
        return self._encode(text, negative=False)

    def zero_pooled_vector(self) -> Tensor | None:
        """The vector that the host makes for an empty negative prompt: zeros and the sizes."""
        return self._encode("", negative=True).vector

    def _encode(self, text: str, *, negative: bool) -> Encoding:
        texts = prompt_parser.SdConditioning([text], negative, self._width, self._height)
        with infotext_undisturbed(), torch.no_grad(), devices.autocast():
            made = self._model.get_learned_conditioning(texts)
        if isinstance(made, dict):
            return Encoding(made["crossattn"][0].clone(), made["vector"][0].clone())
        return Encoding(made[0].clone())


def tokens_of(text: Any) -> Tensor:
    """The tokens of a conditioning: SDXL's is a dict."""
    return text["crossattn"] if isinstance(text, dict) else text  # type: ignore[no-any-return]


def _texts(prompts: Any, steps: int, second_steps: int | None) -> Any:
    """The host's schedules; where it can follow an old way of counting steps, the one that its option names."""
    made_by = prompt_parser.get_learned_conditioning_prompt_schedules
    takes_old = "use_old_scheduling" in inspect.signature(made_by).parameters
    old = {"use_old_scheduling": shared.opts.use_old_scheduling} if takes_old else {}
    return made_by(prompts, steps, second_steps, **old)


def _schedule(texts: Sequence[Any], encoded: Sequence[Any]) -> Schedule:
    if [end for end, _ in texts] != [entry.end_at_step for entry in encoded]:
        raise LookupError("the prompt's schedule is not the one that was encoded")
    return tuple(
        Entry(entry.end_at_step, text, len(tokens_of(entry.cond)) - prefix_length(tokens_of(entry.cond)))
        for (_, text), entry in zip(texts, encoded, strict=True)
    )


def _second_pass_steps(p: Any) -> int:
    """The model calls of the second pass, by which its prompts are scheduled."""
    steps = p.hr_second_pass_steps or p.steps
    config = sd_samplers.find_sampler_config(p.hr_sampler_name or p.sampler_name)
    return int(config.total_steps(steps)) if config else int(steps)
