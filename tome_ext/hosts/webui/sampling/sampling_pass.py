"""One sampling pass (base, second pass of hires fix, or after a switch of models): which row gets which tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tome_ext.hosts.webui.protocol import Call, Host
from tome_ext.hosts.webui.sampling.maps import HeatMap, heat_maps
from tome_ext.hosts.webui.sampling.text import Understood, understand
from tome_ext.method.composition import compose, substitute_ends
from tome_ext.method.refine import in_window, refine
from tome_ext.method.state import Step, Tokens
from tome_ext.settings import Settings

# Where the maps are taken when nothing is refined: the layout has formed (METHOD, "The four parts").
_MAPS_FROM = 0.2

_NO_NEGATIVE = (
    "at CFG scale 1 the WebUI encodes no negative prompt, so phrases have no sampling path of their own: "
    "refined with phrase_latent = same"
)

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

    ``conditioning``: the host's, for this pass; the texts are read and encoded on construction. ``refine``: whether
    the host can. ``comment`` tells the user something, ``comment_failure`` that the image lacks a part of what was
    asked for. ``settings`` may change during the pass, when memory is short. ``maps``: by image, where recorded.
    """

    def __init__(
        self,
        host: Host,
        p: Any,
        settings: Settings,
        conditioning: Any,
        *,
        second: bool,
        refine: bool,
        comment: Comment,
        comment_failure: Comment,
    ) -> None:
        self.conditioning, self.settings = conditioning, settings
        self.maps: dict[int, list[HeatMap]] = {}
        self._host, self._comment, self._comment_failure, self._can_refine = host, comment, comment_failure, refine
        self._schedules = host.schedules(p, second, conditioning)
        self._merged: dict[tuple[int, int, str], _Merged] = {}
        self._mapped: set[tuple[int, int]] = set()
        self._moved = False  # whether any token has been refined
        encoder = host.encoder(p, second)
        texts = dict.fromkeys(e.text for parts in self._schedules for schedule in parts for e in schedule)
        self._texts = {text: understand(encoder, text, settings, refine=self.refine) for text in texts}
        self._zero_pooled = encoder.zero_pooled_vector() if self.refine and settings.loss_pooled == "zeros" else None
        self._explain()

    @property
    def refine(self) -> bool:
        """Whether tokens are refined in this pass."""
        return self._can_refine and self.settings.refines

    @property
    def active(self) -> bool:
        """Whether there is anything to merge."""
        return any(text.located.groups for text in self._texts.values())

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
        for number, row in enumerate(rows):
            text = self._texts[row.text]
            if not text.located.groups:
                continue
            if vector is not None and text.vector is not None:
                vector[number] = text.vector.to(vector[number])
            merged = self._tokens_of(row, given[number], call)
            step = self._step(call, number, row, vector)
            if self.refine and in_window(step, self.settings):
                self._refine(step, merged)
                if merged.latents is not None:
                    latents[number] = merged.latents
            if maps:
                self._record(step, row, given[number], merged, call)
            context[number] = _padded(merged.tokens.context[0], len(given[number])).to(given)
        images = [row.image for row in rows]
        call.change(torch.stack(context), None if vector is None else torch.stack(vector), latents, images)

    def _tokens_of(self, row: Row, given: Tensor, call: Call) -> _Merged:
        """The row's tokens: a text that has not been seen in this row begins with its own merged ones."""
        encoded = self._texts[row.text].encoded(given[: row.length])
        key = (row.image, row.part, row.text)
        if key not in self._merged:
            self._merged[key] = _Merged(compose([encoded], self.settings))
        merged = self._merged[key]
        if self.settings.ets and not merged.substituted and call.place >= self.settings.ets_start - 1e-9:
            merged.tokens = substitute_ends(merged.tokens, [encoded], self.settings)
            merged.substituted = True
        return merged

    def _step(self, call: Call, number: int, row: Row, vector: Sequence[Tensor] | None) -> Step:
        own = None if vector is None else vector[number]
        return call.step(number, row.image, own if self._zero_pooled is None else self._zero_pooled.to(call.context))

    def _refine(self, step: Step, merged: _Merged) -> None:
        """Refine a row, once for each model call: a call that failed at a later row is tried again."""
        if merged.refined == step.index:
            return
        settings = self.settings
        if settings.phrase_latent == "own" and step.null is None:
            self._comment_failure(_NO_NEGATIVE)
            settings = settings.replace(phrase_latent="same")
        with self._host.gradient():
            merged.tokens, latents, report = refine(step, merged.tokens, settings)
        merged.refined, merged.latents = step.index, None if latents is step.latents else latents
        self._moved = self._moved or (report.updates > 0 and not report.nothing_moved)
        if report.nothing_moved and not self._moved:
            self._comment_failure("every gradient was NaN or infinite: merged, not refined")
        for warning in report.warnings:
            self._comment_failure(warning)

    def _record(self, step: Step, row: Row, plain: Tensor, merged: _Merged, call: Call) -> None:
        """The attention maps of a row, once, when its refinement is over."""
        start = self.settings.window_stop if self.refine else _MAPS_FROM
        late = call.place >= start - 1e-9 or call.index + 1 >= call.total
        if not late or (row.image, row.part) in self._mapped:
            return
        self._mapped.add((row.image, row.part))
        groups = self._texts[row.text].located.groups
        try:
            found = heat_maps(step, plain[: row.length], merged.tokens, groups, self.settings.layers)
        except Exception as error:
            self._host.log_exception("ToMe: no attention maps")
            self._comment(f"no attention maps ({type(error).__name__}: {error})")
        else:
            self.maps.setdefault(row.image, []).extend(found)

    def _explain(self) -> None:
        """Comment what of the prompts is left alone. A hand-written group need not stand in every text of a prompt."""
        for parts in self._schedules:
            texts = [self._texts[text] for text in dict.fromkeys(e.text for part in parts for e in part)]
            for text in texts:
                for warning in text.reading.warnings:
                    if all(warning in other.reading.warnings for other in texts):
                        self._comment(warning)
                for warning in text.located.warnings:
                    self._comment(warning)
            if not any(text.located.groups for text in texts):
                self._comment(f"nothing to bind was found in the prompt {_short(texts)!r}")


def _padded(tokens: Tensor, length: int) -> Tensor:
    """``tokens`` [T, D] as long as the longest of the batch: the last vector repeats, as in the host."""
    return torch.cat([tokens, tokens[-1:].expand(length - len(tokens), -1)])


def _short(texts: Sequence[Understood]) -> str:
    text = " AND ".join(text.reading.text for text in texts)
    return text if len(text) <= 60 else text[:59] + "…"
