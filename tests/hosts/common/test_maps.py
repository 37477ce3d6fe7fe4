"""At which model call attention maps are recorded."""

from __future__ import annotations

import pytest

from tome_ext.hosts.common.maps import maps_due
from tome_ext.settings import Settings


@pytest.mark.parametrize(
    ("place", "refines", "last", "expected"),
    [
        (0.3, True, False, False),  # the refinement goes on
        (0.4, True, False, True),
        (0.1, False, False, False),  # no layout yet
        (0.2, False, False, True),
        (0.0, True, True, True),  # a run that ends within the window
    ],
)
def test_maps_are_taken_when_the_refinement_is_over(place, refines, last, expected):
    settings = Settings(window_stop=0.4)
    assert maps_due(place, settings, refines=refines, last=last) is expected
