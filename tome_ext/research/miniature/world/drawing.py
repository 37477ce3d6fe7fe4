"""The miniature's pictures: antialiased silhouettes, drawn once for each size and blended."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tome_ext.research.miniature.world.things import COLOURS, GROUND, HEIGHT, WIDTH, Picture

Array = NDArray[Any]
_OVER = 8  # drawn this much larger, then averaged


def render(picture: Picture, rng: np.random.Generator | None = None) -> Array:
    """``picture`` as pixels [h, w, 3]; with ``rng``, colours vary a little."""
    made = np.empty((HEIGHT, WIDTH, 3), np.float32)
    made[:] = np.array(GROUND, np.float32)
    for thing, place in zip(picture.things, picture.places, strict=True):
        mask = silhouette(thing.shape, place.radius)
        half = len(mask) // 2
        top, left = place.y - half, place.x - half
        rows = slice(max(top, 0), min(top + len(mask), HEIGHT))
        columns = slice(max(left, 0), min(left + len(mask), WIDTH))
        part = mask[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left, None]
        tone = np.array(COLOURS[thing.colour], np.float32)
        if rng is not None:
            tone = tone + rng.normal(0, 4, 3).astype(np.float32)
        made[rows, columns] += part * (tone - made[rows, columns])
    whole: Array = made.clip(0, 255).round().astype(np.uint8)
    return whole


def render_batch(pictures: Sequence[Picture], rng: np.random.Generator | None = None) -> Array:
    """The pixels of ``pictures`` [N, h, w, 3]."""
    return np.stack([render(picture, rng) for picture in pictures])


@cache
def silhouette(shape: str, radius: int) -> Array:
    """A shape's coverage [S, S] in 0 … 1, its centre in the middle."""
    side = 2 * radius + 5
    image = Image.new("L", (side * _OVER,) * 2, 0)
    pen = _Pen(ImageDraw.Draw(image), side * _OVER / 2, radius * _OVER)
    _SHAPES[shape](pen)
    small = image.resize((side, side), Image.Resampling.BOX)
    found: Array = np.asarray(small, np.float32) / 255
    return found


class _Pen:
    """Draws in units of the radius around the centre; y points down."""

    def __init__(self, draw: Any, centre: float, scale: float) -> None:
        self._draw, self._centre, self._scale = draw, centre, scale

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return self._centre + x * self._scale, self._centre + y * self._scale

    def oval(self, x: float, y: float, across: float, down: float, fill: int = 255) -> None:
        self._draw.ellipse([*self._at(x - across, y - down), *self._at(x + across, y + down)], fill=fill)

    def box(self, left: float, top: float, right: float, bottom: float, fill: int = 255) -> None:
        self._draw.rectangle([*self._at(left, top), *self._at(right, bottom)], fill=fill)

    def shape(self, *points: tuple[float, float], fill: int = 255) -> None:
        self._draw.polygon([self._at(x, y) for x, y in points], fill=fill)


def _star(pen: _Pen) -> None:
    radii = [1.05 if n % 2 == 0 else 0.44 for n in range(10)]
    pen.shape(*((r * math.sin(n * math.pi / 5), -r * math.cos(n * math.pi / 5)) for n, r in enumerate(radii)))


def _heart(pen: _Pen) -> None:
    pen.oval(-0.47, -0.42, 0.52, 0.5)
    pen.oval(0.47, -0.42, 0.52, 0.5)
    pen.shape((-0.94, -0.2), (0.94, -0.2), (0, 1.0))


def _moon(pen: _Pen) -> None:
    pen.oval(0, 0, 1, 1)
    pen.oval(0.55, 0, 0.82, 0.82, 0)


def _ring(pen: _Pen) -> None:
    pen.oval(0, 0, 1, 1)
    pen.oval(0, 0, 0.5, 0.5, 0)


def _cross(pen: _Pen) -> None:
    pen.box(-0.34, -1, 0.34, 1)
    pen.box(-1, -0.34, 1, 0.34)


def _arrow(pen: _Pen) -> None:
    pen.shape((0.05, -0.95), (1, 0), (0.05, 0.95))
    pen.box(-1, -0.32, 0.1, 0.32)


def _house(pen: _Pen) -> None:
    pen.shape((0, -1), (1, -0.2), (-1, -0.2))
    pen.box(-0.72, -0.2, 0.72, 0.95)
    pen.box(-0.22, 0.3, 0.22, 0.95, 0)


def _tree(pen: _Pen) -> None:
    pen.oval(0, -0.42, 0.8, 0.6)
    pen.box(-0.22, 0, 0.22, 1)


def _cup(pen: _Pen) -> None:
    pen.oval(0.55, -0.05, 0.45, 0.5)
    pen.oval(0.55, -0.05, 0.2, 0.24, 0)
    pen.shape((-1, -0.8), (0.55, -0.8), (0.35, 0.85), (-0.8, 0.85))


def _fish(pen: _Pen) -> None:
    pen.oval(-0.25, 0, 0.75, 0.56)
    pen.shape((0.2, 0), (1, -0.66), (1, 0.66))


def _bolt(pen: _Pen) -> None:
    pen.shape((0.45, -1), (-0.75, 0.2), (-0.05, 0.2), (-0.45, 1), (0.75, -0.25), (0.05, -0.25))


def _umbrella(pen: _Pen) -> None:
    pen.oval(0, 0, 1, 0.95)
    pen.box(-1.1, 0, 1.1, 1.1, 0)
    pen.box(-0.13, -0.2, 0.13, 0.95)
    pen.box(-0.13, 0.68, 0.55, 0.95)


def _flag(pen: _Pen) -> None:
    pen.box(-0.9, -1, -0.6, 1)
    pen.box(-0.9, -1, 0.95, 0.15)


def _boat(pen: _Pen) -> None:
    pen.shape((-1, 0.3), (1, 0.3), (0.6, 0.9), (-0.6, 0.9))
    pen.shape((-0.05, -1), (-0.05, 0.15), (-0.8, 0.15))
    pen.shape((0.12, -0.7), (0.12, 0.15), (0.7, 0.15))
    pen.box(-0.1, -0.8, 0.14, 0.35)


def _hourglass(pen: _Pen) -> None:
    pen.shape((-0.8, -1), (0.8, -1), (0.14, 0), (0.8, 1), (-0.8, 1), (-0.14, 0))


def _key(pen: _Pen) -> None:
    pen.oval(-0.5, 0, 0.5, 0.52)
    pen.oval(-0.5, 0, 0.18, 0.2, 0)
    pen.box(-0.1, -0.17, 1, 0.17)
    pen.box(0.25, 0, 0.5, 0.55)
    pen.box(0.75, 0, 1, 0.55)


_SHAPES: dict[str, Callable[[_Pen], None]] = {
    "circle": lambda pen: pen.oval(0, 0, 1, 1),
    "square": lambda pen: pen.box(-0.85, -0.85, 0.85, 0.85),
    "triangle": lambda pen: pen.shape((0, -0.95), (1, 0.85), (-1, 0.85)),
    "star": _star,
    "heart": _heart,
    "cross": _cross,
    "moon": _moon,
    "ring": _ring,
    "diamond": lambda pen: pen.shape((0, -1.05), (0.8, 0), (0, 1.05), (-0.8, 0)),
    "arrow": _arrow,
    "house": _house,
    "tree": _tree,
    "cup": _cup,
    "fish": _fish,
    "bolt": _bolt,
    "umbrella": _umbrella,
    "flag": _flag,
    "boat": _boat,
    "hourglass": _hourglass,
    "key": _key,
}
