from __future__ import annotations

import numpy as np
import pytest

from tome_ext.hosts.common.heat import coloured, normalised


def test_levels_run_from_the_darkest_to_the_brightest_colour():
    assert coloured(np.array([[0.0, 1.0, 2.0]]))[0].tolist() == [[0, 0, 4], [252, 255, 164], [252, 255, 164]]
    brightness = coloured(np.linspace(0, 1, 100)[None])[0] @ [0.299, 0.587, 0.114]
    assert (np.diff(brightness) > 0).all()


@pytest.mark.parametrize("value", [0.0, 3.0, float("nan")])
def test_an_even_map_is_dark(value):
    assert not normalised(np.full((2, 2), value)).any()


def test_maps_are_stretched():
    assert normalised([[2.0, 4.0], [3.0, 2.0]]).tolist() == [[0, 1], [0.5, 0]]
