"""The prompt language of AUTOMATIC1111's WebUI: emphasis, BREAK, AND, prompt editing, network tags."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from tome_ext.prompts.host_syntax.mapped import Fragment, Mapped, joined

_NETWORK = re.compile(r"<\w+:[^>]+>|(?i:<tome:?>)")
_BREAK = re.compile(r"\bBREAK\b")
_AND = re.compile(r"\bAND\b")
_ATTENTION = re.compile(
    r"\\\(|\\\)|\\\[|\\]|\\\\|\\|\(|\[|:\s*([+-]?[.\d]+)\s*\)|\)|]|[^\\()\[\]:]+|:",
)
_WHEN = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*")
# Nested brackets cost the square of their depth; past this many multiplications (thousands of brackets, never
# a real prompt) weights stay as they are, so that reading any text takes linear time.
_WEIGHT_WORK = 200_000


def strip_networks(mapped: Mapped) -> Mapped:
    """Without ``<lora:name:1>`` and its kind, which the host removes before it tokenizes."""
    return mapped.without(networks(mapped.text))


def networks(text: str) -> list[tuple[int, int]]:
    """Where the network tags of a typed text stand."""
    return [m.span() for m in _NETWORK.finditer(text, 0, text.rfind(">") + 1)]


def fragments(mapped: Mapped) -> list[Fragment]:
    """The host's fragments (its ``parse_prompt_attention``), each with its offsets.

    Unclosed brackets count up to the end of the text, a closing bracket without an opening one is text,
    neighbours of equal weight are one fragment, a BREAK inside brackets is an ordinary word: as in the host.
    """
    pieces: list[tuple[Mapped, float]] = []
    open_at: dict[str, list[int]] = {"(": [], "[": []}

    budget = _WEIGHT_WORK

    def multiply(start: int, factor: float) -> None:
        nonlocal budget
        budget -= len(pieces) - start
        if budget >= 0:
            pieces[start:] = [(text, weight * factor) for text, weight in pieces[start:]]

    for m in _ATTENTION.finditer(mapped.text):
        found, weight = m.group(0), m.group(1)
        if found.startswith("\\") and len(found) == 2:
            pieces.append((mapped[m.start() + 1 : m.end()], 1.0))
        elif found in open_at:
            open_at[found].append(len(pieces))
        elif weight is not None and open_at["("]:
            multiply(open_at["("].pop(), _number(weight))
        elif found == ")" and open_at["("]:
            multiply(open_at["("].pop(), 1.1)
        elif found == "]" and open_at["["]:
            multiply(open_at["["].pop(), 1 / 1.1)
        else:
            _split_breaks(mapped[m.start() : m.end()], pieces)
    for bracket, factor in (("(", 1.1), ("[", 1 / 1.1)):
        pieces = _unclosed(pieces, open_at[bracket], factor)
    return _merge(pieces)


def _unclosed(pieces: list[tuple[Mapped, float]], starts: list[int], factor: float) -> list[tuple[Mapped, float]]:
    """Brackets that never close weigh all that follows them; each weight is multiplied step by step, as in the host."""
    out, opened, powers = [], 0, dict[float, list[float]]()
    budget = _WEIGHT_WORK
    for number, (text, weight) in enumerate(pieces):
        while opened < len(starts) and starts[opened] <= number:
            opened += 1
        steps = powers.setdefault(weight, [weight])
        while len(steps) <= opened and budget:
            steps.append(steps[-1] * factor)
            budget -= 1
        out.append((text, steps[min(opened, len(steps) - 1)]))
    return out


def _number(text: str) -> float:
    """A weight; the host would fail on ``..``, here it is 1."""
    try:
        return float(text)
    except ValueError:
        return 1.0


def _split_breaks(part: Mapped, pieces: list[tuple[Mapped, float]]) -> None:
    text, at = part.text, 0
    for m in _BREAK.finditer(text):
        end = at + len(text[at : m.start()].rstrip())
        pieces += [(part[at:end], 1.0), (part[m.start() : m.end()], -1.0)]
        at = len(text) - len(text[m.end() :].lstrip())
    pieces.append((part[at : len(text)], 1.0))


def _merge(pieces: list[tuple[Mapped, float]]) -> list[Fragment]:
    """Neighbours of equal weight make one fragment."""
    runs: list[tuple[list[Mapped], float]] = []
    for piece, weight in pieces:
        if runs and runs[-1][1] == weight:
            runs[-1][0].append(piece)
        else:
            runs.append(([piece], weight))
    out = []
    for parts, weight in runs:
        text = joined(parts)
        if text.text:
            out.append(Fragment(text, weight, text.text == "BREAK" and weight == -1.0))
    return out


def plain_text(text: str) -> tuple[Mapped, list[tuple[int, int]]]:
    """What the words of a typed text say, and the typed pieces left out as branches of prompt editing.

    Of ``[from:to:when]`` and ``[a|b]`` the first branch that says anything is read; the others are texts of
    their own (see :mod:`tome_ext.prompts.prompt_editing`). BREAK and AND become line breaks.
    """
    found, skipped = text_fragments(text)
    parts = [Mapped("\n", one.mapped.offsets[:1]) if one.is_break else one.mapped for one in found]
    whole = joined(parts)
    if "AND" in whole.text:
        whole = Mapped(_AND.sub("\n\n\n", whole.text), whole.offsets)
    return whole, skipped


def text_fragments(text: str) -> tuple[list[Fragment], list[tuple[int, int]]]:
    """The fragments of a typed text of which one branch of each editing is read, and the other branches' places."""
    mapped = strip_networks(Mapped.of(text))
    cuts, branches = _editing_cuts(mapped.text)
    return fragments(mapped.without(cuts)), [mapped.typed(a, b) for a, b in branches if b > a]


@dataclass(frozen=True)
class Editing:
    """A ``[from:to:when]`` or ``[a|b]`` at ``start:end`` with its branches; ``when`` as typed, "" for ``[a|b]``.

    The branches of ``[to:when]`` and ``[from::when]`` are an empty one and the other.
    """

    start: int
    end: int
    branches: tuple[tuple[int, int], ...]
    when: str

    def others(self, branch: int) -> list[tuple[int, int]]:
        """All that goes when one branch stays."""
        a, b = self.branches[branch]
        return [(self.start, a), (b, self.end)]


def editings(text: str) -> list[Editing]:
    """The prompt editing in a text, inner ones before outer ones."""
    if "[" not in text or not (":" in text or "|" in text):
        return []
    out = []
    for start, end, marks in _square_brackets(text):
        bars = [i for i in marks if text[i] == "|"]
        colons = [i for i in marks if text[i] == ":"]
        if bars and not colons:
            edges = [start, *bars, end]
            branches = tuple((a + 1, b) for a, b in pairwise(edges))
            out.append(Editing(start, end + 1, branches, ""))
        elif colons and not bars and len(colons) <= 2 and _WHEN.fullmatch(text, colons[-1] + 1, end):
            edges = [start, *colons]
            branches = tuple((a + 1, b) for a, b in pairwise(edges))
            before = branches[0] if len(branches) == 2 else (start + 1, start + 1)
            out.append(Editing(start, end + 1, (before, branches[-1]), text[colons[-1] + 1 : end].strip()))
    return out


def _editing_cuts(text: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pieces to cut so that the first branch with text is left, and which of them are other branches."""
    cuts: list[tuple[int, int]] = []
    skipped: list[tuple[int, int]] = []
    for editing in editings(text):
        said = [bool(text[a:b].strip()) for a, b in editing.branches]
        chosen = said.index(True) if any(said) else 0
        cuts += editing.others(chosen)
        skipped += [b for k, b in enumerate(editing.branches) if k != chosen and said[k]]
    return union(cuts), union(skipped)


def union(pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Disjoint, ordered pieces that cover the same characters."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(pieces):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        elif end > start:
            out.append((start, end))
    return out


def _square_brackets(text: str) -> list[tuple[int, int, list[int]]]:
    """Matched square brackets: where they open and close, and the ``:`` and ``|`` directly inside."""
    found: list[tuple[int, int, list[int]]] = []
    stack: list[tuple[str, int, list[int]]] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 2
            continue
        if char in "([":
            stack.append((char, at, []))
        elif char in ":|" and stack:
            stack[-1][2].append(at)
        elif char in ")]" and stack and stack[-1][0] == "(["[")]".index(char)]:
            opened, start, marks = stack.pop()
            if opened == "[":
                found.append((start, at, marks))
        at += 1
    return found
