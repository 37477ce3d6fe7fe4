"""The benchmark's prompts in families; the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tome_ext.research.world.captions import Caption, caption, lengthened
from tome_ext.research.world.scenes import COLOURS, HABITS, SHAPES, TEXTURES, WORN, Thing


@dataclass(frozen=True)
class Prompt:
    """A prompt, its family, and the things it asks for, in its order; none where only a model can judge.

    ``groups`` and ``clean`` tell the method which words belong together, so that the benchmark measures the method
    and not the reading of prompts; empty ones are read from the prompt.
    """

    text: str
    family: str
    things: tuple[Thing, ...] = ()
    clean: str = ""
    groups: str = ""


_ARTICLES = ("a", "an")
_TRIES = 100  # for each prompt that is asked for, which finds all 48 of the smallest family
_Draw = Callable[[np.random.Generator, str], Thing]


def families(per_family: int, seed: int = 0) -> list[Prompt]:
    """``per_family`` prompts of each family; the families take turns. ValueError where a family has not as many."""
    made: list[list[Prompt]] = []
    for number, (name, (draw, count, held_out, clauses)) in enumerate(FAMILIES.items()):
        rng = np.random.default_rng((seed, 4, number))
        found: dict[str, Prompt] = {}
        for _ in range(_TRIES * per_family):
            if len(found) == per_family:
                break
            things = _things(rng, draw, count, held_out)
            prompt = prompt_of(things, name, clauses=clauses, colours=draw is not _wearer)
            found.setdefault(prompt.text, prompt)
        if len(found) < per_family:
            raise ValueError(f"prompts = {per_family}: the family {name!r} has {len(found)}")
        made.append(list(found.values()))
    return [prompt for turn in zip(*made, strict=True) for prompt in turn]


def prompt_of(things: Sequence[Thing], family: str, *, clauses: int = 0, colours: bool = True) -> Prompt:
    """The plain prompt of ``things``, with ``clauses`` trimmings behind it."""
    words: Caption = lengthened(caption(things, colours=colours), clauses)
    groups = []
    for noun, places in zip(words.nouns, words.related, strict=True):
        related = [words.words[place] for place in places if words.words[place] not in _ARTICLES]
        if related:
            groups.append(f"{words.words[noun]}: {' '.join(related)}")
    return Prompt(words.text, family, tuple(things), words.clean.text, "; ".join(groups))


def _things(rng: np.random.Generator, draw: _Draw, count: int, held_out: bool | None) -> list[Thing]:
    """Things that differ in shape and in every attribute that they have, so that a leak can be told from chance."""
    while True:
        things = [draw(rng, SHAPES[shape]) for shape in rng.permutation(len(SHAPES))[:count]]
        worn = [thing.worn for thing in things if thing.worn]
        distinct = len({thing.colour for thing in things}) == count and len(set(worn)) == len(worn)
        contrary = draw is not _contrary or any(thing.shape in HABITS for thing in things)
        if distinct and contrary and (held_out is None or all(thing.held_out is held_out for thing in things)):
            return things


def _coloured(rng: np.random.Generator, shape: str) -> Thing:
    return Thing(shape, tuple(COLOURS)[int(rng.integers(len(COLOURS)))])


def _patterned(rng: np.random.Generator, shape: str) -> Thing:
    return Thing(shape, _coloured(rng, shape).colour, TEXTURES[int(rng.integers(1, len(TEXTURES)))])


def _wearer(rng: np.random.Generator, shape: str) -> Thing:
    """Its colour is not in the prompt, not judged, and no reason to be held out."""
    thing = _coloured(rng, shape)
    while thing.held_out:
        thing = _coloured(rng, shape)
    return Thing(shape, thing.colour, worn=WORN[int(rng.integers(len(WORN)))])


def _contrary(rng: np.random.Generator, shape: str) -> Thing:
    """In a colour that contradicts what the shape mostly looks like; other shapes take the habitual colours."""
    thing = _coloured(rng, shape)
    while HABITS.get(shape) == thing.colour or (shape not in HABITS and thing.colour not in HABITS.values()):
        thing = _coloured(rng, shape)
    return thing


# What draws a thing, how many, whether of held-out combinations (None: any), and trimmings behind the prompt.
FAMILIES: dict[str, tuple[_Draw, int, bool | None, int]] = {
    "one thing": (_coloured, 1, None, 0),
    "two colours, seen": (_coloured, 2, False, 0),
    "two colours, held out": (_coloured, 2, True, 0),
    "two patterns, held out": (_patterned, 2, True, 0),
    "three colours, seen": (_coloured, 3, False, 0),
    "three colours, held out": (_coloured, 3, True, 0),
    "two wearing, seen": (_wearer, 2, False, 0),
    "two wearing, held out": (_wearer, 2, True, 0),
    "three wearing, seen": (_wearer, 3, False, 0),
    "long prompts": (_coloured, 2, True, 5),
    "conflicting colours": (_contrary, 2, None, 0),
}
COLOUR_FREE = frozenset(name for name, family in FAMILIES.items() if family[0] is _wearer)
