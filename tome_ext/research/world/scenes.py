"""Synthetic scenes: one to three things, each with a shape, a colour, a texture and perhaps something it wears.

They are what the embedded model learns and what the benchmark asks for. Some combinations are held out: they
never occur in training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIZE = 192  # pixels, square
SHAPES = ("circle", "square", "triangle", "star", "heart", "cross", "moon", "ring")
COLOURS = {
    "red": (214, 38, 38),
    "orange": (244, 130, 24),
    "green": (40, 158, 66),
    "blue": (36, 96, 216),
    "purple": (124, 52, 178),
    "pink": (246, 130, 190),
}
TEXTURES = ("plain", "striped", "dotted")
WORN = ("crown", "hat", "sunglasses", "boots")
BACKGROUNDS = {"white": (246, 246, 244), "grey": (186, 188, 192), "beige": (236, 222, 192)}

# What these shapes look like most of the time, so that another colour contradicts what was learnt.
HABITS = {"heart": "red", "moon": "blue", "star": "orange"}
_HABIT = 0.6
_COUNTS = (0.45, 0.4, 0.15)
_RADII = {1: (32, 50), 2: (26, 38), 3: (22, 29)}


@dataclass(frozen=True)
class Thing:
    """One thing of a scene; ``worn`` is empty for most."""

    shape: str
    colour: str
    texture: str = "plain"
    worn: str = ""

    @property
    def held_out(self) -> bool:
        """Whether any of its combinations never occurs in training."""
        number = SHAPES.index(self.shape)
        return (
            held_out_colour(self.shape) == self.colour
            or (self.texture == "dotted" and number % 4 == 1)
            or (self.texture == "striped" and number % 4 == 3)
            or held_out_worn(self.shape) == self.worn
        )


def held_out_colour(shape: str) -> str:
    """The colour in which ``shape`` never occurs in training."""
    return tuple(COLOURS)[(SHAPES.index(shape) * 5 + 3) % len(COLOURS)]


def held_out_worn(shape: str) -> str:
    """What ``shape`` never wears in training."""
    return WORN[(SHAPES.index(shape) * 3 + 1) % len(WORN)]


@dataclass(frozen=True)
class Place:
    """Where a thing stands: its centre and the radius of its body in pixels."""

    x: int
    y: int
    radius: int


@dataclass(frozen=True)
class Scene:
    """Things, their places and the background's name."""

    things: tuple[Thing, ...]
    places: tuple[Place, ...]
    background: str


def random_scene(rng: np.random.Generator, *, held_out: bool = False, count: int | None = None) -> Scene:
    """A scene of training; with ``held_out``, every thing is of a combination that training leaves out."""
    number = count or 1 + int(rng.choice(len(_COUNTS), p=_COUNTS))
    shapes = rng.permutation(len(SHAPES))[:number]
    distinct = rng.random() < 0.85
    things: list[Thing] = []
    for shape in shapes:
        taken = {thing.colour for thing in things} if distinct else set()
        things.append(_random_thing(rng, SHAPES[shape], taken, held_out))
    background = tuple(BACKGROUNDS)[int(rng.integers(len(BACKGROUNDS)))]
    return Scene(tuple(things), random_places(rng, number), background)


def _random_thing(rng: np.random.Generator, shape: str, taken: set[str], held_out: bool) -> Thing:
    while True:
        if shape in HABITS and rng.random() < _HABIT:
            colour = HABITS[shape]
        else:
            colour = tuple(COLOURS)[int(rng.integers(len(COLOURS)))]
        texture = TEXTURES[int(rng.choice(3, p=(0.6, 0.2, 0.2)))]
        worn = WORN[int(rng.integers(len(WORN)))] if rng.random() < 0.4 else ""
        thing = Thing(shape, colour, texture, worn)
        if thing.held_out is held_out and (colour not in taken or rng.random() < 0.02):
            return thing


def random_places(rng: np.random.Generator, number: int) -> tuple[Place, ...]:
    """Places for ``number`` things that neither touch nor leave the picture, also with what they wear."""
    low, high = _RADII[number]
    for attempt in range(1000):
        top = high if attempt < 100 else low
        radii = rng.integers(low, top + 1, number)
        places = tuple(
            Place(
                int(rng.integers(int(1.2 * r), SIZE - int(1.2 * r))),
                int(rng.integers(int(1.6 * r), SIZE - int(1.35 * r))),
                int(r),
            )
            for r in radii
        )
        if all(_apart(a, b) for i, a in enumerate(places) for b in places[:i]):
            return places
    raise RuntimeError(f"no room for {number} things")  # never seen: three small ones always fit


def _apart(a: Place, b: Place) -> bool:
    near = a.radius + b.radius
    return abs(a.x - b.x) > 1.15 * near or abs(a.y - b.y) > 1.5 * near
