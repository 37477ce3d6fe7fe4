from __future__ import annotations

import sys
import types

import pytest
import torch
from PIL import Image

from tests.hosts.webui.sampling.job import Options, Processing
from tests.hosts.webui.sampling.test_job import PROMPT, build, forget
from tome_ext.hosts.webui.sampling.maps import HeatMap, in_grid, picture


@pytest.fixture
def host(monkeypatch):
    yield build(monkeypatch, sdxl=False)
    forget()


def chosen(number, *titles):
    """A job with the ``number``-th of these scripts."""
    p = Processing([PROMPT])
    p.script_args = [number]
    scripts = [types.SimpleNamespace(title=lambda title=title: title) for title in titles]
    p.scripts = types.SimpleNamespace(selectable_scripts=scripts)
    return p


@pytest.mark.parametrize(
    ("number", "grid"), [(0, False), (1, False), (2, True), (3, True), (7, False), ("x", False), (None, False)]
)
def test_a_grid_is_known_by_its_script(number, grid):
    assert in_grid(chosen(number, "Prompts from file or textbox", "X/Y/Z plot", "Prompt matrix")) == grid


def test_a_job_without_scripts_is_no_grid():
    assert not in_grid(Processing([PROMPT]))


def test_a_grid_has_no_maps_and_a_comment_says_so(host):
    p = chosen(1, "X/Y/Z plot")
    run = host.run(p, Options(show_maps=True))
    assert len(run.processed.images) == 1
    assert run.comments == ["ToMe: no attention maps: not in a grid"]
    assert torch.equal(run.latent, host.run(Processing([PROMPT]), Options()).latent)


@pytest.fixture
def saved(host, monkeypatch):
    """The host's ``save_image``, and the option to use it."""
    calls = []
    images = types.ModuleType("modules.images")
    images.save_image = lambda image, path, name, seed, prompt, kind, **more: calls.append(
        (image.size, path, name, seed, prompt, kind, more["info"], more["suffix"])
    )
    monkeypatch.setitem(sys.modules, "modules.images", images)
    vars(host.fakes["modules.shared"].opts).update(tome_save_maps=True, samples_format="png")
    return calls


def job(saves=True):
    p = Processing([PROMPT, PROMPT])
    p.save_samples, p.outpath_samples = (lambda: saves), "outputs"
    p.all_seeds, p.all_prompts = [1, 2], p.prompts
    return p


def test_maps_are_saved_beside_the_images_where_the_user_wishes_it(host, saved):
    host.run(job(), Options(show_maps=True))
    assert [call[1:] for call in saved] == [
        ("outputs", "", seed, PROMPT, "png", f"image {seed - 1}", "-tome-maps") for seed in (1, 2)
    ]
    host.fakes["modules.shared"].opts.tome_save_maps = False
    host.run(job(), Options(show_maps=True))
    assert len(saved) == 2


def test_maps_are_not_saved_where_the_images_are_not(host, saved):
    host.run(job(saves=False), Options(show_maps=True))
    assert saved == []


def test_a_label_is_legible_and_cut_to_the_room_there_is():
    heat = torch.rand(8, 8)

    def drawn(label):
        """The rows of the label's line that have ink, and the rightmost column with any."""
        table = picture(Image.new("RGB", (64, 64)), [HeatMap(label, heat, heat)]).convert("L")
        line = table.crop((0, 36, table.width, 62)).point(lambda value: 255 if value > 150 else 0)
        return line.getbbox(), table.width

    (_, top, _, bottom), _ = drawn("cat: red")
    assert bottom - top >= 9
    (left, _, right, _), width = drawn("cat: " + "wearing a very long description, " * 20)
    assert left >= 9
    assert width - 60 < right <= width - 9


@pytest.mark.parametrize("label", ["кошка: красная", "猫: 赤い", "chat: café", "a" * 300])
def test_every_label_can_be_drawn(label):
    heat = torch.rand(8, 8)
    assert picture(Image.new("RGB", (64, 32)), [HeatMap(label, heat, heat)]).width > 512
