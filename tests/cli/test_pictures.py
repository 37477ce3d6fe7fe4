from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tome_ext.cli.pictures import grid, heat, heat_sheet

RED, BLUE = Image.new("RGB", (96, 64), (255, 0, 0)), Image.new("RGB", (96, 64), (0, 0, 255))


def count(sheet: Image.Image, colour: tuple[int, int, int]) -> int:
    return int((np.asarray(sheet) == colour).all(axis=-1).sum())


def test_a_grid_shows_every_image_whole_and_in_its_column():
    sheet = grid([[RED, BLUE], [RED, BLUE]], ["without", "with"], "a title")
    assert count(sheet, (255, 0, 0)) == count(sheet, (0, 0, 255)) == 2 * 96 * 64
    red, blue = (np.argwhere((np.asarray(sheet) == colour).all(axis=-1))[:, 1] for colour in ((255, 0, 0), (0, 0, 255)))
    assert red.max() < blue.min()


def test_a_grid_has_room_for_its_title_and_labels():
    bare = grid([[RED]], [""], "")
    titled = grid([[RED]], ["label"], "word " * 12)
    assert titled.height > bare.height
    assert count(titled, (20, 20, 20)) > 0


@pytest.mark.parametrize("title", ["", "ein Hündchen 🐶 \x00\n", "x" * 5000])
def test_any_title_can_be_drawn(title):
    assert count(grid([[RED]], [title], title), (255, 0, 0)) == 96 * 64


def test_heat_is_brightest_where_the_attention_is():
    attention = np.zeros((4, 6))
    attention[1, 4] = 0.01
    levels = np.asarray(heat(RED, attention).convert("L")).astype(int)
    row, column = np.unravel_index(levels.argmax(), levels.shape)
    assert (row // 16, column // 16) == (1, 4)
    assert levels.max() - levels.min() > 100


@pytest.mark.parametrize("attention", [np.zeros((2, 3)), np.full((2, 3), np.nan), np.ones((1, 1))])
def test_heat_of_a_map_without_contrast_is_an_even_picture(attention):
    assert len(heat(RED, attention).getcolors()) == 1


def test_a_heat_sheet_has_one_panel_per_map_beside_the_picture():
    ramp = np.linspace(0, 1, 12).reshape(3, 4)
    one, three = heat_sheet(BLUE, [("cat", ramp)], "t"), heat_sheet(BLUE, [("cat", ramp)] * 3, "t")
    assert count(three, (0, 0, 255)) == 96 * 64
    assert three.width - one.width == 2 * (96 + 8)
