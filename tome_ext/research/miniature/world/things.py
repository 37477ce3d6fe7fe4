"""The miniature's world: one or two flat things side by side on white ground. Some pairs of shapes never meet.

Every shape is seen in every colour. What is held out are *pairs of shapes*: a third of them is never in one picture,
so that no combination has to be remembered and none of them is forbidden by what was seen of a single thing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tome_ext.research.world.scenes import Place, Thing

WIDTH, HEIGHT = 48, 24  # pixels
SHAPES = (
    *("circle", "square", "triangle", "star", "heart", "cross", "moon", "ring", "diamond", "arrow"),
    *("house", "tree", "cup", "fish", "bolt", "umbrella", "flag", "boat", "hourglass", "key"),
)
COLOURS = {
    "red": (214, 38, 38),
    "orange": (244, 130, 24),
    "yellow": (248, 220, 48),
    "green": (40, 158, 66),
    "cyan": (52, 206, 222),
    "blue": (36, 84, 216),
    "purple": (124, 46, 178),
    "pink": (246, 130, 190),
    "brown": (124, 76, 40),
    "black": (22, 22, 26),
}
GROUND = (250, 250, 248)

_SINGLE = 0.3  # the share of pictures with one thing
_ALIKE = 0.03  # the share of pairs that may have one colour
_RADII = (9, 10)
_NEVER = (1, 6, 8, 12, 14, 19)  # distances in the circle of shapes


@dataclass(frozen=True)
class Picture:
    """What one picture holds: its things and where each of them stands."""

    things: tuple[Thing, ...]
    places: tuple[Place, ...]


def held_out(first: str, second: str) -> bool:
    """Whether the two shapes are never seen together in training: 60 of the 190 pairs, each shape in six of them."""
    return (SHAPES.index(first) - SHAPES.index(second)) % len(SHAPES) in _NEVER


def random_places(rng: np.random.Generator, count: int) -> tuple[Place, ...]:
    """A thing near the middle, or two side by side, which one left is left to chance."""
    places = []
    for number in rng.permutation(count):
        middle = WIDTH // 2 if count == 1 else WIDTH // 4 + number * WIDTH // 2
        reach = 5 if count == 1 else 1
        radius = int(rng.integers(_RADII[0], _RADII[1] + 1))
        x = middle + int(rng.integers(-reach, reach + 1))
        places.append(Place(x, HEIGHT // 2 + int(rng.integers(-1, 2)), radius))
    return tuple(places)


def random_picture(rng: np.random.Generator, *, count: int | None = None, unseen: bool = False) -> Picture:
    """A picture of training; with ``unseen`` its two shapes are a pair that training leaves out."""
    number = count or (1 if rng.random() < _SINGLE else 2)
    while True:
        shapes = [SHAPES[index] for index in rng.permutation(len(SHAPES))[:number]]
        if number == 1 or held_out(*shapes) is unseen:
            break
    while True:
        colours = [tuple(COLOURS)[index] for index in rng.integers(0, len(COLOURS), number)]
        if len(set(colours)) == number or rng.random() < _ALIKE:
            break
    things = tuple(Thing(shape, colour) for shape, colour in zip(shapes, colours, strict=True))
    return Picture(things, random_places(rng, number))
