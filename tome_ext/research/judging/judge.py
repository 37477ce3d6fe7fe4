"""The automatic judge: which things a picture shows, in which colour and texture, wearing what.

Classical image analysis: pixels by colour, regions, and templates made by running the same analysis on renders.
Its accuracy is measured on renders, decoded ones too, by :func:`accuracy`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from tome_ext.research.judging.regions import (
    BLACK,
    BROWN,
    GOLD,
    Array,
    Region,
    classify,
    components,
    find_regions,
    halve,
    solid,
)
from tome_ext.research.world.drawing import render
from tome_ext.research.world.scenes import COLOURS, SHAPES, TEXTURES, WORN, Place, Scene, Thing

_GRID = 24
_SURE = 0.62  # least overlap with a template; below it the shape is unknown
_MIXED = 0.25  # a second colour of this share is seen
_WORN_SHARE = {"crown": 0.05, "hat": 0.07, "sunglasses": 0.035, "boots": 0.03}  # of the body's area


@dataclass(frozen=True)
class Seen:
    """One thing as the judge sees it; ``shape`` is empty where no template fits.

    ``colours``: share of each colour among the body's coloured pixels. ``worn``: everything it wears.
    """

    shape: str
    overlap: float
    colours: dict[str, float]
    texture: str
    worn: frozenset[str]
    box: tuple[int, int, int, int]

    @property
    def colour(self) -> str:
        """The body's main colour."""
        return max(self.colours, key=self.colours.__getitem__)

    @property
    def mixed(self) -> frozenset[str]:
        """Every colour with a sizeable share."""
        return frozenset(name for name, share in self.colours.items() if share >= _MIXED)


def look(picture: Array) -> list[Seen]:
    """What a picture [h, w, 3] shows, the largest thing first."""
    classes = classify(halve(picture))
    regions = find_regions(classes)
    worn = _worn(classes, regions)
    return [_seen(classes, region, found) for region, found in zip(regions, worn, strict=True)]


def _seen(classes: Array, region: Region, worn: frozenset[str]) -> Seen:
    shape, overlap = _shape(region, worn)
    counts = np.bincount(classes[region.mask], minlength=len(COLOURS))[: len(COLOURS)]
    shares = counts / max(int(counts.sum()), 1)
    colours = {name: float(share) for name, share in zip(COLOURS, shares, strict=True)}
    return Seen(shape if overlap >= _SURE else "", overlap, colours, _texture(classes, region), worn, region.box)


def _texture(classes: Array, region: Region) -> str:
    """By the share of bright pixels within the closed body, and whether their edges run across."""
    bright = region.mask & (classes > BROWN)
    if bright.sum() / region.area < 0.11:
        return "plain"
    across = ((bright[:, 1:] != bright[:, :-1]) & region.mask[:, 1:] & region.mask[:, :-1]).sum()
    down = ((bright[1:] != bright[:-1]) & region.mask[1:] & region.mask[:-1]).sum()
    return "striped" if down > 1.8 * (across + 1) else "dotted"


def _worn(classes: Array, regions: Sequence[Region]) -> list[frozenset[str]]:
    """What each region's thing wears: blobs of its colour that are large enough and where it belongs."""
    areas = [dict.fromkeys(WORN, 0) for _ in regions]
    for kind in (GOLD, BLACK, BROWN):
        for blob in components(solid(classes == kind)):
            rows, columns = np.nonzero(blob)
            distances = [float(_distance(region, rows, columns).mean()) for region in regions]
            if len(rows) < 4 or not distances:
                continue
            number = int(np.argmin(distances))
            name = _name(kind, rows, regions[number])
            if name and distances[number] < 0.4 * regions[number].height:
                areas[number][name] += len(rows)
    return [
        frozenset(name for name, area in found.items() if area >= _WORN_SHARE[name] * region.area)
        for found, region in zip(areas, regions, strict=True)
    ]


def _name(kind: int, rows: Array, region: Region) -> str:
    """What a blob may be, by where it is: 0 the body's upper edge, 1 its lower."""
    top, bottom = ((edge - region.box[0]) / region.height for edge in (int(rows.min()), int(rows.max()) + 1))
    if kind == GOLD:
        return "crown" if top < 0.02 and bottom < 0.5 else ""
    if kind == BROWN:
        return "boots" if bottom > 0.95 else ""
    if top < -0.1:
        return "hat"
    return "sunglasses" if bottom < 0.8 else ""


def _distance(region: Region, rows: Array, columns: Array) -> Array:
    """How far pixels lie outside the region's box."""
    top, left, bottom, right = region.box
    down = np.maximum(0, np.maximum(top - rows, rows - bottom + 1))
    across = np.maximum(0, np.maximum(left - columns, columns - right + 1))
    distance: Array = np.hypot(down, across)
    return distance


def _shape(region: Region, worn: frozenset[str]) -> tuple[str, float]:
    """The best template's shape and its overlap."""
    mask = _normalised(region)
    kinds = [name for name in WORN if name in worn][:1] or [""]
    best = ("", 0.0)
    for shape, templates in _templates().items():
        chosen = np.concatenate([templates[kind] for kind in sorted({*kinds, ""})])
        overlap = np.minimum(chosen, mask).sum((1, 2)) / np.maximum(chosen, mask).sum((1, 2))
        if overlap.max() > best[1]:
            best = (shape, float(overlap.max()))
    return best


def _normalised(region: Region) -> Array:
    """The region's mask in its box, in a grid of fixed size; its proportions stay, the longer side fills it."""
    top, left, bottom, right = region.box
    side = max(bottom - top, right - left)
    at = (np.arange(_GRID * 3) + 0.5) * side / (_GRID * 3)
    rows = np.floor(at + (top + bottom - side) / 2).astype(int)
    columns = np.floor(at + (left + right - side) / 2).astype(int)
    inside = ((rows >= 0) & (rows < len(region.mask)))[:, None] & ((columns >= 0) & (columns < region.mask.shape[1]))
    fine: Array = (
        region.mask[np.ix_(rows.clip(0, len(region.mask) - 1), columns.clip(0, region.mask.shape[1] - 1))] & inside
    )
    shares: Array = fine.reshape(_GRID, 3, _GRID, 3).mean((1, 3))
    return shares


@cache
def _templates() -> dict[str, dict[str, Array]]:
    """For each shape and what it wears, masks [n, g, g] from renders of both ends of the sizes."""
    made: dict[str, dict[str, Array]] = {}
    for shape in SHAPES:
        for worn in ("", *WORN):
            masks = []
            for radius in (24, 40):
                for texture in TEXTURES:
                    scene = Scene((Thing(shape, "blue", texture, worn),), (Place(96, 100, radius),), "grey")
                    regions = find_regions(classify(halve(render(scene))))
                    masks += [_normalised(region) for region in regions[:1]]
            made.setdefault(shape, {})[worn] = np.stack(masks)
    return made


@dataclass(frozen=True)
class Accuracy:
    """How often the judge is right: for each question, right answers and all."""

    right: dict[str, int]
    asked: dict[str, int]

    def rate(self, question: str) -> float:
        """The share of right answers."""
        return self.right[question] / max(self.asked[question], 1)


def accuracy(scenes: Sequence[Scene], spoil: Callable[[Array], Array] | None = None) -> Accuracy:
    """The judge's accuracy on renders of ``scenes``, ``spoil``-ed on the way: noise, or an autoencoder."""
    questions = ("count", "shape", "colour", "texture", "worn", "everything")
    right, asked = dict.fromkeys(questions, 0), dict.fromkeys(questions, 0)
    rng = np.random.default_rng(0)
    for scene in scenes:
        picture = render(scene, rng)
        seen = look(spoil(picture) if spoil else picture)
        asked["count"] += 1
        right["count"] += len(seen) == len(scene.things)
        for thing, place in zip(scene.things, scene.places, strict=True):
            answers = _answers(thing, _at(seen, place))
            answers["everything"] = all(answers.values())
            for question, answer in answers.items():
                asked[question] += 1
                right[question] += answer
    return Accuracy(right, asked)


def _at(seen: Sequence[Seen], place: Place) -> Seen | None:
    centre = np.array([place.y / 2, place.x / 2])
    middles = [np.array([(one.box[0] + one.box[2]) / 2, (one.box[1] + one.box[3]) / 2]) for one in seen]
    distances = [float(np.hypot(*(middle - centre))) for middle in middles]
    near = [number for number, distance in enumerate(distances) if distance < place.radius / 2]
    return seen[min(near, key=distances.__getitem__)] if near else None


def _answers(thing: Thing, seen: Seen | None) -> dict[str, bool]:
    if seen is None:
        return dict.fromkeys(("shape", "colour", "texture", "worn"), False)
    return {
        "shape": seen.shape == thing.shape,
        "colour": seen.colour == thing.colour,
        "texture": seen.texture == thing.texture,
        "worn": seen.worn == ({thing.worn} if thing.worn else set()),
    }
