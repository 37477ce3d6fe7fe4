"""Text with an offset map back to the text as typed.

Whatever a host's prompt language takes away (brackets, weights, network tags, branches) simply has no characters left.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mapped:
    """Text whose character ``i`` was typed at ``offsets[i]``."""

    text: str
    offsets: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> Mapped:
        """The text as typed."""
        return cls(text, tuple(range(len(text))))

    def __getitem__(self, part: slice) -> Mapped:
        return Mapped(self.text[part], self.offsets[part])

    def without(self, cuts: list[tuple[int, int]]) -> Mapped:
        """The same text without some disjoint, ordered pieces."""
        kept, at = [], 0
        for start, end in cuts:
            kept.append(self[at:start])
            at = end
        return joined([*kept, self[at:]])

    def typed(self, start: int, end: int) -> tuple[int, int]:
        """Where the piece ``start:end`` (not empty) was typed."""
        return self.offsets[start], self.offsets[end - 1] + 1


def joined(parts: list[Mapped]) -> Mapped:
    """Pieces of mapped text, one after the other."""
    return Mapped("".join(p.text for p in parts), tuple(i for p in parts for i in p.offsets))


@dataclass(frozen=True)
class Fragment:
    """What the host hands to its tokenizer in one go: text of one weight, or a BREAK."""

    mapped: Mapped
    weight: float
    is_break: bool = False
