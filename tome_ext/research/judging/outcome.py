"""From what the judge saw to what the benchmark counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tome_ext.research.judging.judge import Seen
from tome_ext.research.world.prompts import COLOUR_FREE, Prompt
from tome_ext.research.world.scenes import Thing


@dataclass(frozen=True)
class Outcome:
    """What one image makes of its prompt, counted over the ``asked`` things.

    ``present``: seen in their shape. ``bound``: of those, with all their attributes and no other's. ``leaked``: of
    those, with an attribute that belongs to another one. ``swapped``: pairs that have exchanged theirs.
    ``extra``: regions that nobody asked for.
    """

    asked: int
    present: int
    bound: int
    leaked: int
    swapped: int
    extra: int

    @property
    def right(self) -> bool:
        """Everything asked for is there, bound."""
        return self.bound == self.asked

    def to_json(self) -> dict[str, int]:
        """By name; ``Outcome(**…)`` reads it back."""
        return asdict(self)


def outcome(prompt: Prompt, seen: Sequence[Seen]) -> Outcome:
    """Judge one image by what was seen in it; shapes say which thing is which."""
    coloured = prompt.family not in COLOUR_FREE
    found: dict[str, Seen] = {}
    for one in sorted(seen, key=lambda one: -one.overlap):
        found.setdefault(one.shape, one)
    pairs = [(thing, found[thing.shape]) for thing in prompt.things if thing.shape in found]
    wanted = {thing.shape: _wanted(thing, coloured) for thing in prompt.things}
    shown = {thing.shape: _shown(one, coloured) for thing, one in pairs}
    foreign = {
        thing.shape: set().union(*(wanted[other.shape] for other in prompt.things if other is not thing))
        - wanted[thing.shape]
        for thing in prompt.things
    }
    leaked = {shape for shape, has in shown.items() if has & foreign[shape]}
    bound = {shape for shape, has in shown.items() if shape not in leaked and _satisfied(wanted[shape], has, coloured)}
    swapped = sum(
        bool(wanted[a.shape] != wanted[b.shape])
        and wanted[a.shape] <= shown[b.shape]
        and wanted[b.shape] <= shown[a.shape]
        for i, (a, _) in enumerate(pairs)
        for b, _ in pairs[:i]
        if wanted[a.shape] - shown[a.shape] and wanted[b.shape] - shown[b.shape]
    )
    extra = max(0, len(seen) - len(pairs))
    return Outcome(len(prompt.things), len(pairs), len(bound), len(leaked), swapped, extra)


def _wanted(thing: Thing, coloured: bool) -> set[str]:
    wanted = {thing.colour} if coloured else set()
    if thing.texture != "plain":
        wanted.add(thing.texture)
    if thing.worn:
        wanted.add(thing.worn)
    return wanted


def _shown(seen: Seen, coloured: bool) -> set[str]:
    shown = {*seen.mixed, seen.colour} if coloured else set()
    return shown | set(seen.worn) | ({seen.texture} - {"plain"})


def _satisfied(wanted: set[str], shown: set[str], coloured: bool) -> bool:
    """Every attribute asked for is there, and nothing besides."""
    return shown == wanted if coloured else wanted <= shown
