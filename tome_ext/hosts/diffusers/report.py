"""What is reported of each image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tome_ext.method.state import Report, Tokens
from tome_ext.prompts import Reading
from tome_ext.tokens import LocatedGroup

NOT_FINITE = "nothing was refined: every update was not finite (NaN or infinite), so the tokens are merged only"


@dataclass
class ImageReport:
    """What was done for one image.

    ``losses``: for each refined step its number and, for each loss, the values of the image's objects by
    iteration. ``maps``: (the object's words, the cross-attention [h, w] of its composite token, sum 1), where they
    were asked for. ``bound``: whether it has composite tokens. ``failure``: why it was sampled without a part of
    the method that was due for it, empty where none is missing; it is among the warnings as well.
    """

    groups: Reading
    warnings: list[str] = field(default_factory=list)
    losses: list[dict[str, Any]] = field(default_factory=list)
    maps: list[tuple[str, Tensor]] = field(default_factory=list)
    bound: bool = False
    failure: str = ""


@dataclass
class Reports:
    """The reports of a batch, an entry per image."""

    entries: list[ImageReport]

    def warn(self, text: str) -> None:
        """Tell every image of something."""
        for entry in self.entries:
            _once(entry.warnings, text)

    def fail(self, text: str) -> None:
        """The images with something to bind lack a part of the method."""
        self.warn(text)
        for entry in self.entries:
            if entry.bound:
                entry.failure = entry.failure or text

    def note(self, step: int, tokens: Tokens, report: Report) -> None:
        """What the refinement of a model call did, under the number ``step``."""
        for image, entry in enumerate(self.entries):
            own = tokens.objects_of([image])
            if not own:
                continue
            losses = {name: _of(own, rows) for name, rows in _rows(report)}
            entry.losses.append({"step": step, **{name: rows for name, rows in losses.items() if any(rows)}})
            for warning in report.warnings:
                _once(entry.warnings, warning)

    def judge(self, moved: Sequence[bool], flagged: set[int]) -> None:
        """After a refined step: whether each image's tokens have ``moved`` in this run, which ``flagged`` some."""
        for image, (entry, any_step) in enumerate(zip(self.entries, moved, strict=True)):
            if any_step and image in flagged:
                flagged.remove(image)
                entry.failure = ""
                entry.warnings.remove(NOT_FINITE)
            elif not any_step and entry.bound and not entry.failure:
                flagged.add(image)
                _once(entry.warnings, NOT_FINITE)
                entry.failure = NOT_FINITE


def moved(image: int, before: Tokens, after: Tokens, report: Report) -> bool:
    """Whether a step moved the image's tokens. One that needed no update counts as one that did."""
    return not report.discarded or not torch.equal(before.context[image], after.context[image])


def label_of(located: LocatedGroup) -> str:
    """The words of an object: ``cat + wearing + sunglasses``."""
    group = located.group
    words = [span.text for span in group.related] + [term.text for term in group.extra]
    return " ".join([group.noun.text, *(f"+ {word}" for word in words)])


def _rows(report: Report) -> Iterator[tuple[str, list[dict[int, float]]]]:
    yield "binding", report.binding
    yield "entropy", report.entropy
    yield "position", report.position


def _of(objects: Sequence[int], rows: Sequence[dict[int, float]]) -> list[list[float]]:
    return [[row[number] for number in objects if number in row] for row in rows]


def _once(texts: list[str], text: str) -> None:
    if text not in texts:
        texts.append(text)
