"""Where the calls of a sampler node lie: whole runs, halves, image to image."""

from __future__ import annotations

import pytest

from tests.hosts.comfyui.standins import levels
from tome_ext.hosts.comfyui.course import Course
from tome_ext.method.window import noise_place
from tome_ext.settings import preset


def test_a_whole_run():
    course = Course.of(levels(20))
    assert (course.start, course.total) == (0, 20)
    assert [course.index(level) for level in levels(20)[:-1]] == list(range(20))


@pytest.mark.parametrize("cut", [5, 10, 13])
def test_halves_count_as_parts_of_the_whole(cut):
    whole = levels(20)
    first, second = Course.of(whole[: cut + 1]), Course.of(whole[cut:])
    assert (first.start, first.total) == (0, 20)
    assert (second.start, second.total) == (cut, 20)
    assert [second.index(level) for level in whole[cut:-1]] == list(range(cut, 20))


def test_image_to_image_begins_within():
    course = Course.of(levels(40)[-21:])
    assert (course.start, course.total) == (20, 40)


def test_a_call_between_two_steps_counts_as_the_later_one():
    whole = levels(20)
    assert Course.of(whole).index((whole[3] * whole[4]) ** 0.5) == 4
    assert Course.of(whole[:11]).index((whole[9] * whole[10]) ** 0.5) == 10  # as in the whole run


def test_the_second_half_refines_nothing():
    whole, settings = levels(20), preset("balanced")
    assert Course.of(whole[:11]).refines(settings)
    assert not Course.of(whole[10:]).refines(settings)
    assert noise_place(whole[10]) == pytest.approx(0.5, abs=0.01)


def test_a_run_of_one_step():
    course = Course.of([14.6, 0.0])
    assert course.index(14.6) == 0
    assert course.is_last(14.6)
