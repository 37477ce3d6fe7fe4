from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tome_ext.method.window import reduced_side, refined
from tome_ext.settings import Settings


@given(st.integers(1, 200), st.integers(1, 20), st.floats(0, 0.9), st.floats(0.01, 1))
def test_every_nth_step_of_the_window_is_refined_and_its_first_is(total, every, start, length):
    window = {"window_start": start, "window_stop": min(1.0, start + length)}
    inside = [index for index in range(total) if refined(index, total, Settings(**window))]
    assert [index for index in range(total) if refined(index, total, Settings(every=every, **window))] == inside[
        ::every
    ]


@pytest.mark.parametrize(("total", "count"), [(10, 2), (30, 6), (50, 10), (7, 2)])
def test_the_default_window_is_the_first_fifth(total, count):
    assert [index for index in range(total) if refined(index, total, Settings(every=1))] == list(range(count))


def test_nothing_is_refined_without_iterations():
    assert not any(refined(index, 30, Settings(iterations=0)) for index in range(30))


@given(st.integers(1, 512), st.floats(0.25, 1.0))
def test_a_reduced_side_is_never_larger(size, resolution):
    side = reduced_side(size, resolution)
    assert 1 <= side <= size
    assert side == size or side % 8 == 0
