"""Captions of scenes, in words whose part in the scene is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tome_ext.research.world.scenes import Scene, Thing

_OPENINGS = ("a picture of", "a drawing of", "a photo of", "an image of")
_FILLERS = (
    "in a simple flat style",
    "with clear edges",
    "soft light",
    "high quality",
    "very detailed",
    "calm mood",
    "seen from the front",
    "minimal composition",
)
_JOINTS = ("and", "next to", "beside")


@dataclass(frozen=True)
class Caption:
    """A caption as its ``words``, commas among them; for each thing, the place of its noun and of its other words.

    ``dropped``: words that are not part of the clean caption, articles of worn things among them.
    """

    words: tuple[str, ...]
    nouns: tuple[int, ...]
    related: tuple[tuple[int, ...], ...]

    @property
    def text(self) -> str:
        """The caption as one writes it."""
        return " ".join(self.words).replace(" ,", ",")

    @property
    def clean(self) -> Caption:
        """The caption with only the bare things: its end tokens know of no attribute."""
        gone = {place for places in self.related for place in places}
        kept = [place for place in range(len(self.words)) if place not in gone]
        words = [self.words[place] for place in kept]
        for place, word in enumerate(words[:-1]):  # "an orange ring" becomes "a ring"
            if word in ("a", "an"):
                words[place] = _article(words[place + 1])
        return Caption(tuple(words), tuple(kept.index(noun) for noun in self.nouns), ((),) * len(self.nouns))


def phrase(thing: Thing, *, colour: bool = True, swapped: bool = False, verb: str = "wearing") -> Caption:
    """One thing in words: "a red striped circle wearing a crown"."""
    adjectives = [thing.colour] if colour else []
    if thing.texture != "plain":
        adjectives.insert(0 if swapped else len(adjectives), thing.texture)
    words = [*adjectives, thing.shape]
    words = [_article(words[0]), *words]
    noun = len(words) - 1
    related = [*range(1, noun)]
    if thing.worn:
        tail = [verb, thing.worn] if thing.worn.endswith("s") else [verb, _article(thing.worn), thing.worn]
        related += range(len(words), len(words) + len(tail))
        words += tail
    return Caption(tuple(words), (noun,), (tuple(related),))


def joined(parts: Sequence[Caption | str]) -> Caption:
    """Phrases and the words between them as one caption."""
    words: list[str] = []
    nouns: list[int] = []
    related: list[tuple[int, ...]] = []
    for part in parts:
        if isinstance(part, str):
            words += part.split()
            continue
        nouns += [len(words) + noun for noun in part.nouns]
        related += [tuple(len(words) + place for place in places) for places in part.related]
        words += part.words
    return Caption(tuple(words), tuple(nouns), tuple(related))


def caption(things: Sequence[Thing], *, colours: bool = True, joint: str = "and", commas: bool = True) -> Caption:
    """The plain caption of ``things``: "a red ring, a star wearing a hat and a blue moon"."""
    return _listed([phrase(thing, colour=colours) for thing in things], joint, commas)


def random_caption(scene: Scene, rng: np.random.Generator) -> Caption:
    """One of many ways to describe ``scene``: order, openings, background and trimmings vary, some name no colour."""
    things = [scene.things[index] for index in rng.permutation(len(scene.things))]
    colours = rng.random() > 0.2
    verb = "wearing" if rng.random() < 0.75 else "with"
    swapped = rng.random() < 0.3
    phrases = [phrase(thing, colour=colours, swapped=swapped, verb=verb) for thing in things]
    joint = _JOINTS[int(rng.choice(3, p=(0.7, 0.15, 0.15)))]
    parts: list[Caption | str] = [_listed(phrases, joint, bool(rng.random() < 0.6))]
    if rng.random() < 0.35:
        parts.insert(0, _OPENINGS[int(rng.integers(len(_OPENINGS)))])
    drawn = rng.random()
    if drawn < 0.4:
        parts.append(f"on a {scene.background} background")
    elif drawn < 0.5:
        parts.append(f", {scene.background} background")
    if rng.random() < 0.15:
        for filler in rng.permutation(len(_FILLERS))[: int(rng.integers(1, 6))]:
            parts.append(", " + _FILLERS[filler])
    return joined(parts)


def lengthened(short: Caption, clauses: int) -> Caption:
    """``short`` with as many of the trimmings behind it, the same ones each time."""
    return joined([short, *(", " + filler for filler in _FILLERS[:clauses])])


def vocabulary() -> tuple[str, ...]:
    """Every word that a caption can hold."""
    from tome_ext.research.world.scenes import BACKGROUNDS, COLOURS, SHAPES, TEXTURES, WORN

    told = " ".join([*_OPENINGS, *_FILLERS, *_JOINTS, "a an and with wearing on background ,"]).split()
    return tuple(sorted({*told, *SHAPES, *COLOURS, *TEXTURES, *WORN, *BACKGROUNDS}))


def _listed(phrases: Sequence[Caption], joint: str, commas: bool) -> Caption:
    parts: list[Caption | str] = [phrases[0]]
    for number, item in enumerate(phrases[1:], 2):
        last = number == len(phrases)
        parts += [joint if last else "," if commas else "and", item]
    return joined(parts)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
