"""The ``generate`` command with the real diffusers host, on the random model."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tome_ext.cli import main

PROMPT = "a cat wearing sunglasses and a dog wearing a hat"


@pytest.mark.parametrize("model", ["random-sdxl", "random-sd15"])
@pytest.mark.parametrize("preset", ["fast", "balanced"])
def test_tome_changes_the_picture_and_shows_a_map_per_object(tmp_path, capsys, model, preset):
    words = ["--compare", "--attention-maps", "--steps", "5", "--seed", "1", "--quiet", "--parser", "builtin"]
    status = main(["generate", PROMPT, "--model", model, "--preset", preset, *words, "--out", str(tmp_path)])
    shown = capsys.readouterr()
    assert status == 0, shown.err
    assert "cat <- " in shown.out
    assert "dog <- " in shown.out
    files = {
        path.stem.removeprefix("a-cat-wearing-sunglasses-and-a-dog-wearing-a-hat-1"): path
        for path in tmp_path.iterdir()
    }
    assert set(files) == {"", "-plain", "-compare", "-maps"}
    ours, plain = (np.asarray(Image.open(files[name])).astype(int) for name in ("", "-plain"))
    assert np.abs(ours - plain).mean() > 1
    assert Image.open(files["-maps"]).width >= 3 * ours.shape[1]
