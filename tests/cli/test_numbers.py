from __future__ import annotations

import argparse

import pytest

from tome_ext.cli.numbers import real, whole


@pytest.mark.parametrize("text", ["0", "17", "-3", "1.5", "nan", "four", ""])
def test_whole_numbers_outside_the_range_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="must be a whole number from 1 to 16"):
        whole(1, 16)(text)


@pytest.mark.parametrize("text", ["-0.1", "7.6", "nan", "inf", "a lot"])
def test_numbers_outside_the_range_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"must be a number from 0 to 7\.5"):
        real(0, 7.5)(text)


def test_the_ends_of_the_range_belong_to_it():
    assert [whole(1, 16)(text) for text in ("1", "16")] == [1, 16]
    assert [real(0, 7.5)(text) for text in ("0", "7.5")] == [0.0, 7.5]


def test_multiples():
    assert whole(0, 64, 8)("24") == 24
    with pytest.raises(argparse.ArgumentTypeError, match=r"'20': must be .* a multiple of 8"):
        whole(0, 64, 8)("20")
