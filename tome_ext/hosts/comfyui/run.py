"""The state of one run of a sampler node, and how another one goes on with it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from tome_ext.hosts.comfyui.bound import Bound, Kept
from tome_ext.hosts.comfyui.course import Course
from tome_ext.hosts.comfyui.report import Entry
from tome_ext.method.state import Tokens


@dataclass
class ImageTokens:
    """The tokens of one image of one conditioning. ``latents``: other ones for the model call number ``at``."""

    tokens: Tokens
    substituted: bool = False
    at: int = -1
    latents: Tensor | None = None
    mapped: bool = False


@dataclass
class Row:
    """One conditioning in a run, with the state of each image."""

    bound: Bound
    images: list[ImageTokens]
    entries: list[Entry]

    def again(self) -> Row:
        """The same at the begin of another run."""
        images = [replace(one, at=-1, latents=None, mapped=False) for one in self.images]
        return Row(self.bound, images, [replace(one, steps=list(one.steps)) for one in self.entries])


@dataclass
class Run:
    """One run of a sampler node, which begins with ``latent_image``, and is ``silent`` where it adds no noise.

    ``call``: the number of the model call. ``off``: ToMe has failed; ``refinement_off``: refinement alone has.
    ``changes``: to the settings, where memory is short. ``rows``: by the identity that the host gives a conditioning.
    """

    latent_image: Tensor
    silent: bool
    course: Course | None = None
    sigmas: Tensor | None = None
    call: int = 0
    guidance: float = 1.0
    off: bool = False
    refinement_off: bool = False
    changes: dict[str, object] = field(default_factory=dict)
    rows: dict[Any, Row] = field(default_factory=dict)

    @property
    def refinement_ended(self) -> bool:
        """Whether no further call is refined: after a failure, and beyond an adaptive sampler's share of calls."""
        return self.refinement_off or (self.course is not None and self.course.is_beyond(self.call - 1))

    def continued(self, bound: Bound, number: int, images: int) -> Row | None:
        """The state at the end of the run that this one goes on with, of the ``number``-th row of ``bound``."""
        if not self.silent:
            return None
        own = self.latent_image.detach().cpu().float()
        for kept in reversed(bound.kept):
            same = kept.latents.shape == own.shape and torch.allclose(kept.latents, own, rtol=1e-3, atol=1e-3)
            if same and number < len(kept.rows) and len(kept.rows[number].images) == images:
                row: Row = kept.rows[number]
                return row.again()
        return None

    def keep(self, made: Any) -> None:
        """Keep the tokens for a run that goes on with the latents that this one has ``made``."""
        if self.off or not isinstance(made, Tensor):
            return
        latents = made.detach().cpu().float().clone()
        for bound in {id(row.bound): row.bound for row in self.rows.values()}.values():
            rows = [row.again() for row in self.rows.values() if row.bound is bound]
            bound.kept.append(Kept(latents, rows))
