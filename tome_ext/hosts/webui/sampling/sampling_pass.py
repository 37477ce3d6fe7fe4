"""One sampling pass (base, second pass of hires fix, or after a switch of models): which row gets which tokens."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tome_ext.hosts.common.maps import HeatMap, heat_maps, maps_due
from tome_ext.hosts.common.text import EncodedPrompt, encode_prompt
from tome_ext.hosts.webui.protocol import Call, Host
from tome_ext.hosts.webui.sampling.progress import StepProgress, said, work
from tome_ext.method.composition import compose, pooled, substitute_ends
from tome_ext.method.refine import in_window, refine
from tome_ext.method.state import Step, Tokens
from tome_ext.method.window import inside, reached
from tome_ext.settings import Settings

_NO_NEGATIVE = (
    "at CFG scale 1 the WebUI encodes no negative prompt, so phrases have no sampling path of their own: "
    "refined with phrase_latent = same"
)

# In the infotext of an image in which nothing is bound.
NOTHING = "nothing to bind"

Comment = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """One row of the text conditioning: a part of an image's prompt, and the text that holds now."""

    image: int
    part: int
    text: str
    length: int


@dataclass
class _Merged:
    """The tokens of one text in one row, as far as they are refined: at the last call ``refined``, to ``latents``."""

    tokens: Tokens
    substituted: bool = False
    refined: int = -1
    latents: Tensor | None = None


class SamplingPass:
    """ToMe in one pass. Every row is merged and refined on its own, so nothing depends on what else is in the batch.

    ``settings``: of each image, None for one that is left alone. ``conditioning``: the host's, for this pass; the
    texts are read and encoded on construction. ``refine``: whether the host can. ``comment`` tells the user something,
    ``comment_failure`` that the image lacks a part of what was asked for. ``maps``: by image, where recorded.
    ``notes``: what of the prompts is left alone, for the infotext. ``refined``: which model calls were,
    of ``calls``.
    """

    def __init__(
        self,
        host: Host,
        p: Any,
        settings: Sequence[Settings | None],
        conditioning: Any,
        *,
        second: bool,
        refine: bool,
        comment: Comment,
        comment_failure: Comment,
    ) -> None:
        self.conditioning, self._settings = conditioning, list(settings)
        self.maps: dict[int, list[HeatMap]] = {}
        self.notes: list[str] = []
        self.refined: set[int] = set()
        self.calls = 0
        self._host, self._comment, self._comment_failure, self._can_refine = host, comment, comment_failure, refine
        self._schedules = host.schedules(p, second, conditioning)
        self._merged: dict[tuple[int, int, str], _Merged] = {}
        self._mapped: set[tuple[int, int]] = set()
        self._moved = False  # whether any token has been refined
        encoder = host.encoder(p, second)
        if len(self._schedules) != len(self._settings):
            raise LookupError(f"{len(self._schedules)} prompts were encoded for {len(self._settings)} images")
        read = functools.cache(lambda text, own: encode_prompt(encoder, text, own, refine=refine and own.refines))
        self._texts: dict[tuple[int, str], EncodedPrompt] = {
            (image, entry.text): read(entry.text, own)
            for image, (parts, own) in enumerate(zip(self._schedules, self._settings, strict=True))
            for schedule in parts
            for entry in schedule
            if own is not None
        }
        zeros = any(own is not None and own.loss_pooled == "zeros" for own in self._settings)
        self._zero_pooled = encoder.zero_pooled_vector() if self.refine and zeros else None
        self._explain()

    @property
    def refine(self) -> bool:
        """Whether tokens are refined in this pass."""
        return any(self._refines(image) for image in range(len(self._settings)))

    def _refines(self, image: int) -> bool:
        own = self._settings[image]
        return self._can_refine and own is not None and own.refines

    def change(self, **values: object) -> None:
        """Other values from now on, for all images: when memory is short."""
        self._settings = [None if own is None else own.replace(**values) for own in self._settings]

    @property
    def active(self) -> bool:
        """Whether there is anything to merge."""
        return any(text.located.groups for text in self._texts.values())

    @property
    def prompts(self) -> list[EncodedPrompt]:
        """The texts as they were read, each once."""
        return list({text.reading.text: text for text in self._texts.values()}.values())

    def rows(self, step: int) -> list[Row]:
        """The rows of the conditioning at a model call."""
        return [
            Row(image, part, entry.text, entry.length)
            for image, parts in enumerate(self._schedules)
            for part, schedule in enumerate(parts)
            for entry in [next((e for e in schedule if step <= e.end_at_step), schedule[0])]
        ]

    def apply(self, call: Call, *, maps: bool = False) -> None:
        """Give a model call its text; what is raised on the way leaves the call as it was."""
        rows = self.rows(call.schedule_step)
        given, vectors = call.context, call.vector
        if len(rows) != len(given) or any(row.length > given.shape[1] for row in rows):
            raise LookupError(f"the conditioning {tuple(given.shape)} is not that of {len(rows)} prompts")
        context, vector = list(given), None if vectors is None else list(vectors)
        latents: dict[int, Tensor] = {}
        self.calls = call.total
        progress = StepProgress(call.index, len(self._settings), sum(self._work(row, call) for row in rows))
        for number, row in enumerate(rows):
            text, own = self._texts.get((row.image, row.text)), self._settings[row.image]
            if text is None or own is None or not text.located.groups:
                continue
            if vector is not None and text.vector is not None:
                vector[number] = pooled(vector[number], text.vector, own)
            merged = self._tokens_of(row, given[number], call, own)
            step = self._step(call, number, row, vector, own)
            if self._can_refine and in_window(step, own):
                self._refine(progress.counted(step, own), merged, own)
                if merged.latents is not None:
                    latents[number] = merged.latents
            if maps:
                self._record(step, row, given[number], merged, call, own)
            context[number] = _padded(merged.tokens.context[0], len(given[number])).to(given)
        images = [row.image for row in rows]
        call.change(torch.stack(context), None if vector is None else torch.stack(vector), latents, images)

    def _work(self, row: Row, call: Call) -> float:
        """The passes that refining a row at a call takes."""
        text, own = self._texts.get((row.image, row.text)), self._settings[row.image]
        if text is None or own is None or not text.located.groups:
            return 0.0
        refined = self._can_refine and inside(call.place, call.index, own, call.total)
        return work(own, len(text.located.groups)) if refined else 0.0

    def _tokens_of(self, row: Row, given: Tensor, call: Call, own: Settings) -> _Merged:
        """The row's tokens: a text that has not been seen in this row begins with its own merged ones."""
        encoded = self._texts[row.image, row.text].encoded(given[: row.length])
        key = (row.image, row.part, row.text)
        if key not in self._merged:
            self._merged[key] = _Merged(compose([encoded], own))
        merged = self._merged[key]
        if own.ets != "off" and not merged.substituted and reached(call.place, own.ets_start):
            merged.tokens = substitute_ends(merged.tokens, [encoded], own)
            merged.substituted = True
        return merged

    def _step(self, call: Call, number: int, row: Row, vectors: Sequence[Tensor] | None, own: Settings) -> Step:
        vector = None if vectors is None else vectors[number]
        if self._zero_pooled is not None and own.loss_pooled == "zeros":
            vector = self._zero_pooled.to(call.context)
        return call.step(number, row.image, vector)

    def _refine(self, step: Step, merged: _Merged, own: Settings) -> None:
        """Refine a row, once for each model call: a call that failed at a later row is tried again."""
        if merged.refined == step.index:
            return
        if own.phrase_latent == "own" and step.null is None:
            self._comment_failure(_NO_NEGATIVE)
            own = own.replace(phrase_latent="same")
        with said(f"ToMe: refining step {step.index + 1} of {step.total}"), self._host.gradient():
            merged.tokens, latents, report = refine(step, merged.tokens, own)
        self.refined.add(step.index)
        merged.refined, merged.latents = step.index, None if latents is step.latents else latents
        self._moved = self._moved or (report.updates > 0 and not report.nothing_moved)
        if report.nothing_moved and not self._moved:
            self._comment_failure("every gradient was NaN or infinite: merged, not refined")
        for warning in report.warnings:
            self._comment_failure(warning)

    def _record(self, step: Step, row: Row, plain: Tensor, merged: _Merged, call: Call, own: Settings) -> None:
        """The attention maps of a row, once, when its refinement is over."""
        last = call.index + 1 >= call.total
        due = maps_due(call.place, own, refines=self._refines(row.image), last=last)
        if not due or (row.image, row.part) in self._mapped:
            return
        self._mapped.add((row.image, row.part))
        groups = self._texts[row.image, row.text].located.groups
        try:
            found = heat_maps(step, plain[: row.length], merged.tokens, groups, own.layers)
        except Exception as error:
            self._host.log_exception("ToMe: no attention maps")
            self._comment(f"no attention maps ({type(error).__name__}: {error})")
        else:
            self.maps.setdefault(row.image, []).extend(found)

    def _explain(self) -> None:
        """Comment what of the prompts is left alone. A hand-written group need not stand in every text of a prompt."""
        for image, parts in enumerate(self._schedules):
            if self._settings[image] is None:
                continue
            texts = [self._texts[image, text] for text in dict.fromkeys(e.text for part in parts for e in part)]
            for text in texts:
                for warning in text.reading.warnings:
                    if all(warning in other.reading.warnings for other in texts):
                        self._comment(warning)
                        self.notes.append(warning)
                for warning in text.located.warnings:
                    self._comment(warning)
            if not any(text.located.groups for text in texts):
                self._comment(f"nothing to bind was found in the prompt {_short(texts)!r}")
        if not self.active:
            self.notes.insert(0, NOTHING)


def _padded(tokens: Tensor, length: int) -> Tensor:
    """``tokens`` [T, D] as long as the longest of the batch: the last vector repeats, as in the host."""
    return torch.cat([tokens, tokens[-1:].expand(length - len(tokens), -1)])


def _short(texts: Sequence[EncodedPrompt]) -> str:
    text = " AND ".join(text.reading.text for text in texts)
    return text if len(text) <= 60 else text[:59] + "…"
