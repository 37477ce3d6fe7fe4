from __future__ import annotations

import numpy as np
import pytest

from tome_ext.research.judging.judge import accuracy, look
from tome_ext.research.judging.outcome import Outcome, outcome
from tome_ext.research.judging.regions import components, fill_gaps
from tome_ext.research.world.drawing import render
from tome_ext.research.world.prompts import prompt_of
from tome_ext.research.world.scenes import SHAPES, WORN, Place, Scene, Thing, random_scene


def scene(*things):
    return Scene(things, (Place(55, 70, 32), Place(135, 120, 32))[: len(things)], "beige")


def judged(asked, drawn=None, family="two colours, seen"):
    return outcome(prompt_of(asked, family), look(render(scene(*(drawn or asked)))))


@pytest.fixture(scope="module")
def mixed_scenes():
    rng = np.random.default_rng(5)
    return [random_scene(rng, held_out=bool(number % 2)) for number in range(150)]


def test_renders_are_read_right(mixed_scenes):
    found = accuracy(mixed_scenes)
    assert {question for question in found.right if found.rate(question) < 0.95} == set()


def test_blurred_and_noisy_renders_are_read_nearly_as_well(mixed_scenes):
    rng = np.random.default_rng(1)

    def spoil(picture):
        whole = picture.astype(float)
        near = sum(np.roll(whole, step, axis) for step in (-1, 1) for axis in (0, 1))
        return ((whole + near) / 5 + rng.normal(0, 12, whole.shape)).clip(0, 255).astype(np.uint8)

    found = accuracy(mixed_scenes, spoil)
    assert {question for question in found.right if found.rate(question) < 0.93} == set()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("worn", ["", *WORN])
def test_each_shape_is_known_whatever_it_wears(shape, worn):
    seen = look(render(Scene((Thing(shape, "purple", worn=worn),), (Place(100, 100, 36),), "white")))
    assert [(one.shape, one.colour) for one in seen] == [(shape, "purple")]


def test_noise_and_empty_pictures_show_nothing():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (192, 192, 3)).astype(np.uint8)
    assert not [one for one in look(noise) if one.shape]
    assert look(np.full((192, 192, 3), 200, np.uint8)) == []


RED, BLUE = Thing("circle", "red"), Thing("square", "blue")


def test_a_right_picture_counts_as_right():
    assert judged((RED, BLUE)) == Outcome(asked=2, present=2, bound=2, leaked=0, swapped=0, extra=0)
    assert judged((RED, BLUE)).right


def test_exchanged_colours_are_a_swap_and_two_leaks():
    found = judged((RED, BLUE), (Thing("circle", "blue"), Thing("square", "red")))
    assert (found.bound, found.leaked, found.swapped) == (0, 2, 1)


def test_another_things_colour_is_a_leak_and_a_foreign_one_is_not():
    leak = judged((RED, BLUE), (Thing("circle", "blue"), BLUE))
    assert (leak.present, leak.bound, leak.leaked, leak.swapped) == (2, 1, 1, 0)
    wrong = judged((RED, BLUE), (Thing("circle", "green"), BLUE))
    assert (wrong.present, wrong.bound, wrong.leaked) == (2, 1, 0)


def test_a_missing_thing_is_missing_and_an_uncalled_one_is_extra():
    found = judged((RED, BLUE), (RED, Thing("star", "blue")))
    assert (found.present, found.bound, found.extra, found.right) == (1, 1, 1, False)


def test_what_is_worn_belongs_to_its_wearer():
    asked = (Thing("circle", "red", worn="crown"), Thing("square", "blue", worn="boots"))
    assert judged(asked, family="two wearing, seen").right
    swapped = (Thing("circle", "green", worn="boots"), Thing("square", "pink", worn="crown"))
    found = judged(asked, swapped, family="two wearing, seen")
    assert (found.bound, found.leaked, found.swapped) == (0, 2, 1)
    bare = (Thing("circle", "green"), Thing("square", "pink", worn="boots"))
    found = judged(asked, bare, family="two wearing, seen")
    assert (found.bound, found.leaked, found.swapped) == (1, 0, 0)


def test_colours_are_not_judged_where_the_prompt_names_none():
    asked = (Thing("circle", "red", worn="crown"), Thing("square", "blue", worn="boots"))
    other = (Thing("circle", "green", worn="crown"), Thing("square", "red", worn="boots"))
    assert judged(asked, other, family="two wearing, seen").right


def test_two_colours_in_one_body_are_a_leak():
    picture = render(scene(RED, BLUE))
    picture[70:102, 20:90][(picture[70:102, 20:90, 0] > 190) & (picture[70:102, 20:90, 2] < 90)] = (36, 96, 216)
    found = outcome(prompt_of((RED, BLUE), "two colours, seen"), look(picture))
    assert found.leaked == 1


def test_components_are_the_connected_parts():
    mask = np.array([[1, 1, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [1, 0, 1, 1]], bool)
    assert sorted(int(part.sum()) for part in components(mask)) == [1, 2, 2, 3]
    spiral = np.ones((9, 9), bool)
    spiral[1:8, 1] = spiral[7, 1:8] = spiral[1:7, 7] = spiral[1, 3:7] = False
    assert len(components(spiral)) == 1
    assert components(np.zeros((3, 3), bool)) == []


def test_closing_fills_gaps_and_keeps_the_outside():
    mask = np.zeros((30, 30), bool)
    mask[10:13, 8:20] = mask[16:19, 8:20] = True
    filled = fill_gaps(mask, 3)
    assert filled[13:16, 10:18].all()
    assert not filled[:9].any()
    assert not filled[20:].any()
