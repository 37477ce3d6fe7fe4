"""What *ToMe Refine* did in a sampling run: for people, and for *ToMe Attention Maps*."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tome_ext.hosts.common.maps import HeatMap
from tome_ext.method.state import Report


@dataclass
class Entry:
    """One image of one conditioning: its objects, what each refined step did, and its attention maps."""

    image: int
    objects: list[str]
    steps: list[Report] = field(default_factory=list)
    maps: list[HeatMap] = field(default_factory=list)


@dataclass
class RunReport:
    """A sampling run. ``notes``: what was left alone, and why."""

    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def clear(self) -> None:
        """Begin again."""
        self.entries, self.notes = [], []

    def maps_of(self, image: int) -> list[HeatMap]:
        """The maps of an image, whichever conditionings they are of."""
        return [heat for entry in self.entries if entry.image == image for heat in entry.maps]

    def line(self) -> str:
        """The run in one line: its last note, or how many steps were refined."""
        if self.notes:
            return self.notes[-1]
        count = len({step.step for entry in self.entries for step in entry.steps})
        return f"{count} step{'s' if count > 1 else ''} refined" if count else "nothing was refined"

    def text(self) -> str:
        """For people: a line for each image, and for each refined step the losses of each object by iteration."""
        lines = []
        for entry in self.entries:
            lines.append(f"image {entry.image + 1}: {', '.join(entry.objects)}")
            for step in entry.steps:
                lines += [f"  step {step.step + 1}: {line}" for line in _losses(step)]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)]) or "nothing was refined"


def _losses(step: Report) -> list[str]:
    named = (("entropy", step.entropy), ("binding", step.binding), ("position", step.position))
    return [f"{name} {_rows(rows)}" for name, rows in named if any(rows)]


def _rows(rows: Sequence[dict[int, float]]) -> str:
    return "; ".join(", ".join(f"{value:.6g}" for _, value in sorted(row.items())) for row in rows if row)
