"""What is asked of the miniature: two coloured things of seen and of unseen pairs, and single ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tome_ext.research.miniature.world.things import COLOURS, SHAPES, held_out
from tome_ext.research.world.prompts import Prompt, prompt_of
from tome_ext.research.world.scenes import Thing

ONE, SEEN, UNSEEN = "one thing", "two things, seen pair", "two things, unseen pair"
DEVELOPMENT, CONFIRMATION = 1, 2  # sets of prompts that share none


def singles(count: int, which: int = DEVELOPMENT) -> list[Prompt]:
    """``count`` prompts for one thing each."""
    every = [Thing(shape, colour) for shape in SHAPES for colour in COLOURS]
    order = np.random.default_rng((51, 0)).permutation(len(every))
    chosen = [every[index] for index in order[which - 1 :: 2][:count]]
    return [prompt_of([thing], ONE) for thing in chosen]


def pairs(count: int, unseen: bool, which: int = DEVELOPMENT) -> list[Prompt]:
    """``count`` prompts for two things of different colours, whose shapes never met in training where ``unseen``.

    Which of the sets a prompt belongs to depends on its shapes and colours alone, in either order.
    """
    rng = np.random.default_rng((52, which, unseen))
    found: dict[str, Prompt] = {}
    while len(found) < count:
        first, second = (int(index) for index in rng.permutation(len(SHAPES))[:2])
        one, other = (int(index) for index in rng.permutation(len(COLOURS))[:2])
        if held_out(SHAPES[first], SHAPES[second]) is not unseen or _set_of(first, second, one, other) != which:
            continue
        things = [Thing(SHAPES[first], tuple(COLOURS)[one]), Thing(SHAPES[second], tuple(COLOURS)[other])]
        prompt = prompt_of(things, UNSEEN if unseen else SEEN)
        found.setdefault(prompt.text, prompt)
    return list(found.values())


def both(count: int, which: int = DEVELOPMENT) -> list[Prompt]:
    """``count`` prompts of seen pairs and as many of unseen ones."""
    return pairs(count, False, which) + pairs(count, True, which)


def _set_of(first: int, second: int, one: int, other: int) -> int:
    shapes = {DEVELOPMENT: 0, CONFIRMATION: 1}
    odd = (first + second + one + other) % 2  # the same for exchanged colours and for the other order
    return next(which for which, number in shapes.items() if number == odd)


def exchanged(prompt: Prompt) -> Prompt:
    """The same prompt with the colours one thing further: what a misbound picture shows."""
    colours = [thing.colour for thing in prompt.things]
    told = [*colours[1:], colours[0]]
    things: Sequence[Thing] = [Thing(thing.shape, colour) for thing, colour in zip(prompt.things, told, strict=True)]
    return prompt_of(things, prompt.family)
