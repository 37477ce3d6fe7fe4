"""The miniature's judge: which silhouettes a picture shows, in which colours. By rule, measured on renders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from tome_ext.research.judging.judge import Seen
from tome_ext.research.judging.regions import components
from tome_ext.research.miniature.world.drawing import Array, render, silhouette
from tome_ext.research.miniature.world.things import COLOURS, GROUND, SHAPES, Picture

_SURE = 0.7  # least overlap with a silhouette; below it the shape is unknown
_SMALLEST = 30  # pixels of a region that counts
_FAR = 60.0  # how far from the ground's colour a pixel of a thing is, at least
_SHIFTS = (-1, 0, 1)
_SIZES = (8, 9, 10, 11)
_PALETTE = np.array([*COLOURS.values()], np.float32)


def look(picture: Array) -> list[Seen]:
    """What a picture [h, w, 3] shows, the largest region first."""
    pixels = picture.astype(np.float32)
    coverage = np.sqrt(((pixels - np.array(GROUND, np.float32)) ** 2).sum(-1))
    masks = [mask for mask in components(coverage > _FAR) if mask.sum() >= _SMALLEST]
    return [_seen(pixels, mask) for mask in sorted(masks, key=lambda mask: -int(mask.sum()))]


def _seen(pixels: Array, mask: Array) -> Seen:
    shape, overlap = _shape(mask)
    inner = _inner(mask)
    if inner.sum() < 8:
        inner = mask
    nearest = ((pixels[inner][:, None] - _PALETTE) ** 2).sum(-1).argmin(-1)
    shares = np.bincount(nearest, minlength=len(COLOURS)) / len(nearest)
    colours = {name: float(share) for name, share in zip(COLOURS, shares, strict=True)}
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    return Seen(shape if overlap >= _SURE else "", overlap, colours, "plain", frozenset(), box)


def _inner(mask: Array) -> Array:
    """Pixels whose four neighbours belong to the region as well: at its rim, colours are mixtures with the ground."""
    padded = np.pad(mask, 1)
    found: Array = mask & padded[2:, 1:-1] & padded[:-2, 1:-1] & padded[1:-1, 2:] & padded[1:-1, :-2]
    return found


def _shape(mask: Array) -> tuple[str, float]:
    """The silhouette that overlaps most (intersection over union), over sizes and shifts of a pixel."""
    rows, columns = np.nonzero(mask)
    side = 2 * max(_SIZES) + 7
    middle = round((rows.min() + rows.max()) / 2), round((columns.min() + columns.max()) / 2)
    window = np.zeros((side, side), bool)
    y, x = rows - middle[0] + side // 2, columns - middle[1] + side // 2
    inside = (y >= 0) & (y < side) & (x >= 0) & (x < side)
    window[y[inside], x[inside]] = True
    names, templates, areas = _templates()
    common = templates @ window.ravel().astype(np.float32)
    overlap = common / (areas + len(rows) - common)
    best = int(overlap.argmax())
    return SHAPES[names[best]], float(overlap[best])


@cache
def _templates() -> tuple[Array, Array, Array]:
    """Numbers of shapes [n], their silhouettes [n, pixels] at all sizes and shifts, and the silhouettes' areas [n]."""
    side = 2 * max(_SIZES) + 7
    numbers, masks = [], []
    for number, shape in enumerate(SHAPES):
        for size in _SIZES:
            small = silhouette(shape, size) > 0.3
            rows, columns = np.nonzero(small)
            y = rows - round((rows.min() + rows.max()) / 2) + side // 2
            x = columns - round((columns.min() + columns.max()) / 2) + side // 2
            for down in _SHIFTS:
                for across in _SHIFTS:
                    whole = np.zeros((side, side), np.float32)
                    whole[(y + down).clip(0, side - 1), (x + across).clip(0, side - 1)] = 1
                    numbers.append(number)
                    masks.append(whole.ravel())
    stacked = np.stack(masks)
    return np.array(numbers), stacked, stacked.sum(1)


@dataclass(frozen=True)
class Accuracy:
    """How often the judge is right on pictures whose content is known: shares of things, and of pictures' counts."""

    things: int
    shape: float
    colour: float
    both: float
    count: float


def accuracy(pictures: Sequence[Picture], spoil: Callable[[Array], Array] | None = None) -> Accuracy:
    """The judge's accuracy on renders of ``pictures``, ``spoil``-ed on the way: noise, or an autoencoder."""
    rng = np.random.default_rng(0)
    shape, colour, both, count = [], [], [], []
    for picture in pictures:
        made = render(picture, rng)
        seen = look(spoil(made) if spoil else made)
        count.append(len(seen) == len(picture.things))
        for thing, place in zip(picture.things, picture.places, strict=True):
            near = [one for one in seen if abs((one.box[1] + one.box[3]) / 2 - place.x) < place.radius]
            right = (bool(near) and near[0].shape == thing.shape, bool(near) and near[0].mixed == {thing.colour})
            shape.append(right[0])
            colour.append(right[1])
            both.append(all(right))
    return Accuracy(len(shape), *(float(np.mean(each)) for each in (shape, colour, both, count)))
