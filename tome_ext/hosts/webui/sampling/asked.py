"""What a job, and each image of its batches, was asked to have, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tome_ext.settings import Settings

# Merging without refinement.
UNREFINED: dict[str, object] = {"iterations": 0, "binding_iterations": 0}
_LONGEST = 200


class JobOptions(Protocol):
    """What the user asked for (:class:`tome_ext.hosts.webui.ui.options.Options`)."""

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


@dataclass(frozen=True)
class Batch:
    """The options of each image of a batch, None for one without ToMe: in the first pass, and in that of hires fix."""

    first: Sequence[JobOptions | None]
    second: Sequence[JobOptions | None]

    @classmethod
    def alike(cls, options: JobOptions, images: int) -> Batch:
        """A batch of images with the same options."""
        return cls([options] * images, [options] * images)

    def settings(self, second: bool) -> list[Settings | None]:
        """The settings of each image in a pass, None for one that the pass leaves alone."""
        return [_settings(own, second) for own in (self.second if second else self.first)]


def _settings(own: JobOptions | None, second: bool) -> Settings | None:
    if own is None or own.settings.strength == 0 or (second and own.hires == "off"):
        return None
    return own.settings.replace(**UNREFINED) if second and own.hires == "merge" else own.settings


@dataclass
class PassState:
    """What became of one kind of pass (the first, or the second of hires fix) in a job.

    ``changes`` to its images' settings; ``refinement_lost``: why it no longer refines; empty where it does.
    """

    changes: dict[str, object] = field(default_factory=dict)
    refinement_lost: str = ""


def first_line(text: str) -> str:
    """The first line of a message, not too long for an infotext."""
    first = text.strip().partition("\n")[0]
    return first if len(first) <= _LONGEST else f"{first[:_LONGEST]}…"
