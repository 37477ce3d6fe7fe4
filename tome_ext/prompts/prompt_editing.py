"""AND and prompt editing: the texts that one typed prompt stands for, step by step.

Each is a text of its own, with its own reading and its own token positions. Follows AUTOMATIC1111's ``prompt_parser``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tome_ext.prompts.host_syntax import Mapped
from tome_ext.prompts.host_syntax.a1111 import Editing, editings, union

_AND = re.compile(r"\bAND\b")
_WEIGHT = re.compile(r"\s*:\s*([-+]?(?:\d+\.?|\d*\.\d+))\s*\Z")


@dataclass(frozen=True)
class Variant:
    """The text that holds up to and including ``end_at_step``, each character with its place in the typed text."""

    end_at_step: int
    mapped: Mapped

    @property
    def text(self) -> str:
        """The text the host tokenizes."""
        return self.mapped.text


@dataclass(frozen=True)
class Part:
    """One part of a prompt with AND."""

    weight: float
    variants: tuple[Variant, ...]


def parts(text: str, steps: int) -> tuple[Part, ...]:
    """The AND parts of a typed prompt, each with its texts for a run of ``steps`` steps."""
    typed = Mapped.of(text)
    edges = [m.span() for m in _AND.finditer(text)]
    starts = [0, *(b for _, b in edges)]
    ends = [*(a for a, _ in edges), len(text)]
    out = []
    for start, end in zip(starts, ends, strict=True):
        part = typed[start:end]
        colon = part.text.rfind(":")
        blank = len(part.text[: max(colon, 0)].rstrip())
        found = _WEIGHT.match(part.text, blank) if colon >= 0 else None
        body = part[: found.start()] if found else part[: len(part.text.rstrip())]
        out.append(Part(float(found.group(1)) if found else 1.0, variants(body, steps)))
    return tuple(out)


def variants(mapped: Mapped, steps: int) -> tuple[Variant, ...]:
    """The texts of one AND part in order, the last one up to the last step."""
    found = editings(mapped.text)
    covered = {i for e in found if not e.when for i in _bars(e)}
    if not found or any(c == "|" and i not in covered for i, c in enumerate(mapped.text)):
        return (Variant(steps, mapped),)
    ends = {steps}
    for editing in found:
        if editing.when:
            ends.add(_step(editing.when, steps))
        else:
            ends |= set(range(1, steps + 1))
    return tuple(Variant(end, _at(mapped, found, end, steps)) for end in sorted(ends) if end >= 1)


def _bars(editing: Editing) -> list[int]:
    return [b for _, b in editing.branches[:-1]]


def _step(when: str, steps: int) -> int:
    """The step a number stands for: with a point it is a fraction of the run."""
    value = float(when)
    return min(steps, int(value * steps if "." in when else value))


def _at(mapped: Mapped, found: list[Editing], step: int, steps: int) -> Mapped:
    cuts: list[tuple[int, int]] = []
    for editing in found:
        if editing.when:
            branch = 0 if step <= _step(editing.when, steps) else 1
        else:
            branch = (step - 1) % len(editing.branches)
        cuts += editing.others(branch)
    return mapped.without(union(cuts))
