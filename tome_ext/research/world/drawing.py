"""Scenes as pictures: antialiased sprites, drawn once for each size and blended; above 300 pictures a second."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from tome_ext.research.world.scenes import BACKGROUNDS, COLOURS, SIZE, Scene

Picture = NDArray[Any]
Mask = NDArray[Any]
_OVER = 4  # drawn this much larger, then averaged
_REACH = 1.66  # half a sprite's side, in radii of the body: what is worn stands out of it

WORN_COLOURS = {"crown": (252, 208, 48), "hat": (28, 28, 34), "sunglasses": (28, 28, 34), "boots": (112, 68, 36)}
_BEHIND = ("boots",)
# Where the middle of each body's upper edge lies, and its bottom, in radii.
_TOPS = {"square": -0.86, "triangle": -0.78, "star": -0.8, "heart": -0.8}


def body(shape: str, radius: int) -> Mask:
    """The body's coverage [S, S] in 0 … 1, with its centre in the middle of the sprite."""
    return _body(shape, radius)


def render(scene: Scene, rng: np.random.Generator | None = None) -> Picture:
    """``scene`` as a picture [SIZE, SIZE, 3]; with ``rng``, colours vary a little, as they do in nature."""
    vary = partial(_varied, rng)
    picture = np.empty((SIZE, SIZE, 3), np.float32)
    picture[:] = np.array(BACKGROUNDS[scene.background], np.float32) + vary()
    for thing, place in zip(scene.things, scene.places, strict=True):
        colour = np.array(COLOURS[thing.colour], np.float32) + vary()
        coverage = _body(thing.shape, place.radius)
        layers = [(coverage, colour)]
        if thing.texture != "plain":
            layers.append((_pattern(thing.texture, thing.shape, place.radius), np.full(3, 250.0)))
        if thing.worn:
            worn = _worn(thing.worn, thing.shape, place.radius), np.array(WORN_COLOURS[thing.worn]) + vary()
            layers.insert(0 if thing.worn in _BEHIND else len(layers), worn)
        for mask, tone in layers:
            _blend(picture, mask, tone.astype(np.float32), place.x, place.y)
    whole: Picture = picture.clip(0, 255).round().astype(np.uint8)
    return whole


def render_batch(scenes: Sequence[Scene], rng: np.random.Generator | None = None) -> Picture:
    """The pictures of ``scenes`` [N, SIZE, SIZE, 3]."""
    return np.stack([render(scene, rng) for scene in scenes])


def _varied(rng: np.random.Generator | None) -> Mask:
    """What to add to a colour: a little noise, or nothing."""
    return np.zeros(3) if rng is None else rng.normal(0, 5, 3)


def _blend(picture: Mask, mask: Mask, colour: Mask, x: int, y: int) -> None:
    half = len(mask) // 2
    top, left = y - half, x - half
    rows = slice(max(top, 0), min(top + len(mask), SIZE))
    columns = slice(max(left, 0), min(left + len(mask), SIZE))
    part = mask[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left, None]
    target = picture[rows, columns]
    target += part * (colour - target)


@cache
def _body(shape: str, radius: int) -> Mask:
    canvas = _Canvas(radius)
    if shape in ("circle", "moon", "ring"):
        canvas.ellipse(0, 0, 1, 1)
    if shape == "moon":
        canvas.ellipse(0.5, -0.12, 0.8, 0.8, 0)
    elif shape == "ring":
        canvas.ellipse(0, 0, 0.52, 0.52, 0)
    elif shape == "square":
        canvas.box(-0.86, -0.86, 0.86, 0.86)
    elif shape == "triangle":
        canvas.polygon([(0, -1), (1, 0.8), (-1, 0.8)])
    elif shape == "cross":
        canvas.box(-0.33, -1, 0.33, 1)
        canvas.box(-1, -0.33, 1, 0.33)
    elif shape == "star":
        canvas.polygon([_polar(1 if n % 2 == 0 else 0.42, n * math.pi / 5) for n in range(10)])
    elif shape == "heart":
        canvas.polygon([_heart(2 * math.pi * n / 60) for n in range(60)])
    return canvas.mask()


@cache
def _pattern(texture: str, shape: str, radius: int) -> Mask:
    """White stripes across, or white dots in rows, within the body's rim; their period follows the size."""
    canvas = _Canvas(radius)
    if texture == "striped":
        for number in range(-3, 4):
            canvas.box(-1.2, number * 0.42 - 0.1, 1.2, number * 0.42 + 0.1)
    else:
        for row in range(-2, 3):
            for column in range(-3, 4):
                canvas.ellipse((column + (row % 2) / 2) * 0.46, row * 0.4, 0.13, 0.13)
    whole = Image.fromarray((_body(shape, radius) * 255).astype(np.uint8))
    inner = whole.filter(ImageFilter.MinFilter(2 * max(1, round(0.06 * radius)) + 1))
    return canvas.mask() * np.asarray(inner, np.float32) / 255


@cache
def _worn(worn: str, shape: str, radius: int) -> Mask:
    canvas = _Canvas(radius)
    top = _TOPS.get(shape, -1.0)
    if worn == "crown":
        low, high = top + 0.12, top - 0.5
        spikes = [(-0.5, high), (-0.24, high + 0.28), (0, high - 0.04), (0.24, high + 0.28), (0.5, high)]
        canvas.polygon([(-0.44, low), *spikes, (0.44, low)])
    elif worn == "hat":
        canvas.box(-0.66, top - 0.04, 0.66, top + 0.12)
        canvas.box(-0.38, top - 0.6, 0.38, top + 0.02)
    elif worn == "sunglasses":
        for side in (-1, 1):
            canvas.ellipse(side * 0.34, -0.12, 0.27, 0.22)
        canvas.box(-0.72, -0.24, 0.72, -0.15)
    elif worn == "boots":
        for side in (-1, 1):
            canvas.box(side * 0.3 - 0.13, 0.45, side * 0.3 + 0.13, 1.3)
            canvas.box(min(side * 0.17, side * 0.68), 1.06, max(side * 0.17, side * 0.68), 1.3)
    return canvas.mask()


class _Canvas:
    """A sprite being drawn, in radii of the body around its centre."""

    def __init__(self, radius: int) -> None:
        half = math.ceil(radius * _REACH)
        self._side, self._scale = 2 * half + 1, radius * _OVER
        self._image = Image.new("L", (self._side * _OVER,) * 2, 0)
        self._draw = ImageDraw.Draw(self._image)
        self._centre = self._side * _OVER / 2

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return self._centre + x * self._scale, self._centre + y * self._scale

    def ellipse(self, x: float, y: float, across: float, down: float, fill: int = 255) -> None:
        self._draw.ellipse([*self._at(x - across, y - down), *self._at(x + across, y + down)], fill=fill)

    def box(self, left: float, top: float, right: float, bottom: float) -> None:
        self._draw.rectangle([*self._at(left, top), *self._at(right, bottom)], fill=255)

    def polygon(self, points: Sequence[tuple[float, float]]) -> None:
        self._draw.polygon([self._at(x, y) for x, y in points], fill=255)

    def mask(self) -> Mask:
        small = self._image.resize((self._side, self._side), Image.Resampling.BOX)
        return np.asarray(small, np.float32) / 255


def _polar(radius: float, angle: float) -> tuple[float, float]:
    return radius * math.sin(angle), -radius * math.cos(angle)


def _heart(t: float) -> tuple[float, float]:
    x = 16 * math.sin(t) ** 3
    y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
    return x / 16, (-y + -2.5) / 15
