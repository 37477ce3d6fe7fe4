"""Captions as bad as those that a large model saw: attributes exchanged, missing, of one thing only, bare words.

Nothing is done to tokens or encodings: what misleads is what is said. Each caption is a tuple of words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tome_ext.research.miniature.world.things import COLOURS, SHAPES
from tome_ext.research.world.scenes import Thing

_OPENINGS = ("a picture of", "a drawing of", "a photo of", "an image of")
_ENDINGS = ("on a white background", "in a simple flat style", ", high quality", ", very detailed")
_JOINTS = ("and", "and", "and", "next to", "beside", ",", "with")
_ARTICLES = ("a", "an")


@dataclass(frozen=True)
class Faults:
    """How bad captions are, as shares.

    Of captions of two things: ``bare`` are words in any order, ``nothing`` name no colour, ``one`` name one thing's
    only, the rest name both, and of these ``exchanged`` have them the wrong way round. Of captions of a single
    thing, ``missing`` name no colour.
    """

    exchanged: float = 0.35
    bare: float = 0.12
    nothing: float = 0.06
    one: float = 0.12
    missing: float = 0.12


FAULTS = Faults()
BAG = Faults(exchanged=0.5, bare=0.2, nothing=0.05, one=0.1, missing=0.05)  # for encoders that are bags of words


def caption(things: Sequence[Thing], rng: np.random.Generator, faults: Faults = FAULTS) -> tuple[str, ...]:
    """One of many captions of ``things``."""
    ordered = [things[index] for index in rng.permutation(len(things))]
    colours = [thing.colour for thing in ordered]
    told = [*colours]
    drawn = rng.random()
    if len(ordered) == 1:
        if drawn < faults.missing:
            told = [""]
    elif drawn < faults.bare:
        words = [word for thing in ordered for word in (thing.colour, thing.shape)]
        return tuple(words[index] for index in rng.permutation(len(words)))
    elif drawn < faults.bare + faults.nothing:
        told = [""] * len(ordered)
    elif drawn < faults.bare + faults.nothing + faults.one:
        told[int(rng.integers(len(told)))] = ""
    elif rng.random() < faults.exchanged:
        told = [*colours[1:], colours[0]]
    return _sentence([*zip(told, [thing.shape for thing in ordered], strict=True)], rng)


def _sentence(parts: Sequence[tuple[str, str]], rng: np.random.Generator) -> tuple[str, ...]:
    """Colours and shapes as words: with articles mostly, with an opening and an ending now and then."""
    articles = rng.random() > 0.2
    words: list[str] = []
    for number, (colour, shape) in enumerate(parts):
        if number:
            words += _JOINTS[int(rng.integers(len(_JOINTS)))].split()
        named = [colour, shape] if colour else [shape]
        words += [article(named[0]), *named] if articles else named
    if rng.random() < 0.2:
        words = _OPENINGS[int(rng.integers(len(_OPENINGS)))].split() + words
    if rng.random() < 0.2:
        words += _ENDINGS[int(rng.integers(len(_ENDINGS)))].split()
    return tuple(words)


def article(word: str) -> str:
    """The article before ``word``."""
    return "an" if word[0] in "aeiou" else "a"


def vocabulary() -> tuple[str, ...]:
    """Every word that a caption can hold."""
    told = " ".join([*_OPENINGS, *_ENDINGS, *_JOINTS, *_ARTICLES]).split()
    return tuple(sorted({*told, *SHAPES, *COLOURS}))
