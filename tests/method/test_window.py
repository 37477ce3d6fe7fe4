from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tome_ext.method.window import inside, noise_place, nothing_refined, reached, reduced_side, refined_calls
from tome_ext.settings import Settings


def refined(total: int, settings: Settings) -> list[int]:
    """The refined calls of an even run over the whole schedule."""
    return [index for index in range(total) if inside(index / total, index, settings)]


@given(st.integers(1, 200), st.integers(1, 20), st.floats(0, 0.9), st.floats(0.01, 1))
def test_every_nth_step_of_the_window_is_refined(total, every, start, length):
    window = {"window_start": start, "window_stop": min(1.0, start + length)}
    found = refined(total, Settings(every=1, **window))
    assert refined(total, Settings(every=every, **window)) == [index for index in found if index % every == 0]


@pytest.mark.parametrize(("total", "count"), [(1, 1), (2, 1), (4, 1), (8, 2), (10, 2), (30, 6), (50, 10), (7, 2)])
def test_the_default_window_is_the_first_fifth(total, count):
    assert refined(total, Settings(every=1)) == list(range(count))
    assert refined_calls(total, Settings(every=1)) == count
    assert refined(total, Settings()) == list(range(0, count, 2))


def test_an_adaptive_sampler_is_refined_in_three_times_as_many_calls_as_steps_at_most():
    """It makes the more calls, the more the text changes."""
    found = [index for index in range(1000) if inside(0.1, index, Settings(every=1), total=6)]
    assert found == list(range(18))


def test_nothing_is_refined_without_iterations():
    assert refined(30, Settings(iterations=0)) == []


def test_a_run_without_a_refined_step_is_told_of():
    begins_late = "no step is refined: sampling begins at 0.50 of the noise schedule, the window is 0 to 0.2"
    assert nothing_refined(0.5, Settings(every=2)) == begins_late
    within = nothing_refined(0.14, Settings(every=2))
    assert within.endswith(
        "begins at 0.14 of the noise schedule, the window is 0 to 0.2, and every = 2 skips its steps"
    )


def test_nothing_is_refined_without_a_loss():
    assert refined(30, Settings(entropy_weight=0.0, binding_weight=0.0)) == []
    assert refined(30, Settings(entropy_weight=0.0, binding_weight=0.0, position_weight=0.1)) != []


@pytest.mark.parametrize(("step", "sigma"), [(999, 14.6146), (500, 1.6156), (0, 0.02917)])
def test_a_noise_level_has_the_place_of_its_step_of_training(step, sigma):
    """Three noise levels that samplers print for Stable Diffusion."""
    assert noise_place(sigma) == pytest.approx(1 - step / 999, abs=1e-3)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_less_noise_is_later(one, other):
    low, high = sorted((one, other))
    assert 0 <= noise_place(high) <= noise_place(low) <= 1


def test_a_run_that_begins_late_is_not_refined_in_its_first_steps():
    """Image to image at denoising strength 0.3 begins at 0.7 of the schedule: the layout is long fixed."""
    places = [0.7 + 0.3 * index / 10 for index in range(10)]
    assert not any(inside(place, index, Settings()) for index, place in enumerate(places))


@pytest.mark.parametrize("total", [3, 5, 10, 30, 50, 100])
def test_a_call_at_a_bound_lies_behind_it_for_all_that_looks_at_bounds(total):
    """A place that is computed from a noise level may miss its bound by a rounding: the window ends there, and what
    follows it begins."""
    for number in range(total):
        for rounding in (-1e-6, 0.0, 1e-6):
            place = number / total + rounding
            assert reached(place, number / total)
            assert not reached(place, (number + 1) / total)
            assert not inside(place, 0, Settings(every=1, window_stop=number / total))
            assert inside(place, 0, Settings(every=1, window_start=number / total, window_stop=1.0))


def test_a_noise_level_beyond_the_schedule_is_at_its_start():
    assert noise_place(math.inf) == noise_place(4518.0) == 0.0


@given(st.integers(1, 512), st.floats(0.25, 1.0))
def test_a_reduced_side_is_never_larger(size, resolution):
    side = reduced_side(size, resolution)
    assert 1 <= side <= size
    assert side == size or side % 8 == 0
