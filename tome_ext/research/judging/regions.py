"""What stands out in a picture: pixels by their colour, and connected regions. Plain numpy, some milliseconds each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tome_ext.research.world.drawing import WORN_COLOURS
from tome_ext.research.world.scenes import COLOURS

Array = NDArray[Any]
Mask = NDArray[Any]

GOLD, BLACK, BROWN, GROUND = (len(COLOURS) + number for number in range(4))
_PALETTE = np.array(
    [*COLOURS.values(), WORN_COLOURS["crown"], WORN_COLOURS["hat"], WORN_COLOURS["boots"]], dtype=np.float32
)
_GAP = 3  # pixels of the halved picture that a region closes over: stripes and dots


@dataclass(frozen=True)
class Region:
    """One thing's body: its mask in the halved picture, closed over its texture.

    ``box``: top, left, bottom, right.
    """

    mask: Mask
    box: tuple[int, int, int, int]

    @property
    def height(self) -> int:
        """Of the box."""
        return self.box[2] - self.box[0]

    @property
    def area(self) -> int:
        """Pixels of the closed mask."""
        return int(self.mask.sum())


def halve(picture: Array) -> Array:
    """The picture [h, w, 3] at half its size."""
    whole = picture.astype(np.float32)
    return (whole[::2, ::2] + whole[1::2, ::2] + whole[::2, 1::2] + whole[1::2, 1::2]) / 4


def classify(small: Array) -> Array:
    """For each pixel the nearest colour of things, of what they wear, or GROUND: the background and white."""
    ground = background(small)
    white = np.full(3, 250.0, np.float32)
    palette = np.concatenate([_PALETTE, ground[None], white[None]])
    distance = ((small[:, :, None] - palette) ** 2).sum(-1)
    nearest = distance.argmin(-1)
    classes: Array = np.minimum(nearest, GROUND)
    return classes


def background(small: Array) -> Array:
    """The background's colour [3]: the median of the picture's rim."""
    rim = np.concatenate([small[:3].reshape(-1, 3), small[-3:].reshape(-1, 3), small[:, :3].reshape(-1, 3)])
    middle: Array = np.median(np.concatenate([rim, small[:, -3:].reshape(-1, 3)]), 0)
    return middle


def find_regions(classes: Array, smallest: int = 80) -> list[Region]:
    """The bodies in a classified picture, the largest first, each closed over its texture."""
    whole = np.zeros(classes.shape, bool)
    for colour in range(len(COLOURS)):
        mask = solid(classes == colour)
        if mask.sum() >= smallest // 4:
            whole |= fill_gaps(mask, _GAP)
    found = []
    for mask in components(whole):
        if mask.sum() < smallest:
            continue
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        found.append(Region(mask, (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)))
    return sorted(found, key=lambda region: -region.area)


def solid(mask: Mask) -> Mask:
    """``mask`` without its thin parts: where two colours meet, their mixtures look like others."""
    padded = np.pad(mask, 1).astype(np.int8)
    neighbours = padded[2:, 1:-1] + padded[:-2, 1:-1] + padded[1:-1, 2:] + padded[1:-1, :-2]
    return mask & _grown(mask & (neighbours >= 3), 1)


def fill_gaps(mask: Mask, reach: int) -> Mask:
    """``mask`` with gaps up to twice ``reach`` filled: grown, then shrunk by as much."""
    padded = np.pad(mask, reach)
    return ~_grown(~_grown(padded, reach), reach)[reach:-reach, reach:-reach]


def components(mask: Mask) -> list[Mask]:
    """The connected parts of ``mask``, sides touching."""
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        spread = labels.copy()
        # Whole rows and columns at a time: runs of the mask take their largest label.
        for _ in range(2):
            spread = _spread_runs(spread, mask)
            spread = _spread_runs(spread.T, mask.T).T
        if (spread == labels).all():
            break
        labels = spread
    return [labels == label for label in np.unique(labels) if label]


def _spread_runs(labels: Array, mask: Mask) -> Array:
    """Give each horizontal run of the mask its largest label."""
    starts = mask & ~np.pad(mask, ((0, 0), (1, 0)))[:, :-1]
    number = np.cumsum(starts.ravel()) - 1
    inside = mask.ravel()
    if not inside.any():
        return labels
    largest = np.zeros(int(number.max()) + 1, labels.dtype)
    np.maximum.at(largest, number[inside], labels.ravel()[inside])
    return np.where(mask, largest[number.clip(0)].reshape(mask.shape), 0)


def _grown(mask: Mask, reach: int) -> Mask:
    """``mask`` grown by a diamond and a square in turn, close to a disc."""
    for step in range(reach):
        grown = mask.copy()
        grown[1:] |= mask[:-1]
        grown[:-1] |= mask[1:]
        wide = grown if step % 2 else mask
        out = grown.copy()
        out[:, 1:] |= wide[:, :-1]
        out[:, :-1] |= wide[:, 1:]
        mask = out
    return mask
