"""In a real WebUI beside other extensions, from the folder WEBUI_COMPANIONS (see docs/COMPANIONS.md)."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.hosts.webui.running.server import HOST, Server

pytestmark = pytest.mark.webui

SMALL: dict[str, Any] = {"steps": 4, "batch_size": 2}
DIVIDED = "ToMe: tokens are merged, not refined: Regional Prompter gives each region a text of its own"


def _regions(calculation: str) -> list[Any]:
    matrix = ["Matrix", "Columns", "Mask", "Prompt", "1,1", "0.2", False, False, False]
    return [True, False, *matrix, calculation, "", "0", "0", "0.4", "", "0", "0", False]


def _stripes() -> str:
    picture = Image.fromarray(np.kron(np.eye(4) * 255, np.ones((32, 32))).astype("uint8")).convert("RGB")
    file = io.BytesIO()
    picture.save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


@dataclass(frozen=True)
class Companion:
    """``model``: where its API lists the models that it needs, by which name, and how the request takes one.

    ``acts``: whether the image with ToMe is another one. ``hosts``: where it runs; all if empty.
    """

    name: str
    folder: str
    asks: dict[str, Any] = field(default_factory=dict)
    comments: tuple[str, ...] = ()
    model: tuple[str, str] = ("", "")
    acts: bool = True
    hosts: tuple[str, ...] = ()

    def request(self, server: Server) -> dict[str, Any]:
        if not self.model[0]:
            return {**SMALL, **self.asks}
        route, key = self.model
        models = [one for one in server.ask(route)[key] if not one.startswith("mediapipe")]
        if not models:
            pytest.skip(f"{self.name} has no model")
        if self.folder == "adetailer":
            args: list[Any] = [True, False, {"ad_model": models[-1]}]
        else:
            args = [{"enabled": True, "module": "none", "model": models[0], "image": _stripes()}]
        return {**SMALL, **self.asks, "alwayson_scripts": {self.name: {"args": args}}}


def _regional(calculation: str, *comments: str) -> Companion:
    asks = {
        "prompt": "a red cat and a yellow bird ADDCOL a blue dog and a green car",
        "alwayson_scripts": {"Regional Prompter": {"args": _regions(calculation)}},
    }
    return Companion("Regional Prompter", "sd-webui-regional-prompter", asks, comments)


_COUPLE = Companion(
    "Forge Couple",
    "sd-forge-couple",
    {
        "prompt": "a red cat and a yellow bird\na blue dog and a green car",
        "alwayson_scripts": {
            "Forge Couple": {
                "args": [True, False, "Basic", "", "Horizontal", "None", 0.5, [], "off", False, False],
            }
        },
    },
    (
        "ToMe: tokens are merged, not refined: "
        "forge-couple gives each region a text of its own, and ToMe has no part in those",
    ),
    acts=False,
    hosts=("forge", "neo"),
)
COMPANIONS = [
    Companion("Dynamic Prompts", "sd-dynamic-prompts", {"prompt": "a {red|green} cat and a blue dog"}),
    Companion("ADetailer", "adetailer", model=("/adetailer/v1/ad_model", "ad_model")),
    Companion("ControlNet", "sd-webui-controlnet", model=("/controlnet/model_list", "model_list")),
    _regional("Attention", DIVIDED),
    _regional("Latent"),
    _COUPLE,
]


def beside_it(servers, folder: str, flags: str = os.environ.get("WEBUI_COMPANION_FLAGS", "")) -> Server:
    """A WebUI with the extension in this folder, and SD1.5 loaded."""
    if not Path(os.environ.get("WEBUI_COMPANIONS", "/nowhere"), folder).is_dir():
        pytest.skip(f"WEBUI_COMPANIONS has no {folder}")
    server: Server = servers(flags, companions=(folder,))
    server.load("sd15")
    return server


@pytest.mark.parametrize("companion", COMPANIONS, ids=lambda one: f"{one.name} {'said' if one.comments else ''}")
def test_beside(servers, companion: Companion):
    if companion.hosts and HOST not in companion.hosts:
        pytest.skip(f"{companion.name} does not run on {HOST}")
    server = beside_it(servers, companion.folder)
    request = companion.request(server)
    plain, beside = server.make(**SMALL), server.make(**request)
    assert not np.array_equal(beside.pixels[0], plain.pixels[0])
    first = server.make({}, **request)
    assert tuple(server.comments()) == companion.comments
    assert server.make({}, **request) == first
    same = [np.array_equal(a, b) for a, b in zip(first.pixels[:2], beside.pixels[:2], strict=True)]
    assert same == [not companion.acts] * 2
    assert server.make(**request) == beside
    assert server.make(**SMALL) == plain


def test_a_dynamic_prompt_is_read_as_it_comes_out(servers):
    server = beside_it(servers, "sd-dynamic-prompts")
    made = server.make({}, prompt="a {red|green} cat and a blue dog", steps=4, batch_size=2, n_iter=2)
    for number, (pixels, text) in enumerate(zip(made.pixels, made.infotexts, strict=True)):
        alone = server.make({}, prompt=text.splitlines()[0], steps=4, seed=1 + number)
        assert np.abs(alone.pixels[0] - pixels).max() <= 1
        assert alone.infotexts == [text]


def test_a_wildcard_is_read_as_it_comes_out(servers, tmp_path):
    (tmp_path / "colour.txt").write_text("green\nyellow\nblack\n")
    (tmp_path / "how.txt").write_text("<tome:fast>\n<tome:off>\n")
    server = beside_it(servers, "stable-diffusion-webui-wildcards", f"--wildcards-dir {tmp_path}")
    made = server.make(prompt="a __colour__ cat and a blue dog __how__", steps=4, n_iter=6)
    seen = set()
    for number, (pixels, text) in enumerate(zip(made.pixels, made.infotexts, strict=True)):
        prompt = text.splitlines()[0]
        seen.add("<tome:fast>" in prompt)
        assert ("ToMe version" in text) == ("<tome:fast>" in prompt)
        alone = server.make(prompt=prompt, steps=4, seed=1 + number)
        assert np.array_equal(alone.pixels[0], pixels)
    assert seen == {True, False}


def test_an_idle_controlnet_leaves_the_image_of_tome(servers):
    companion = COMPANIONS[2]
    server = beside_it(servers, companion.folder)
    request = companion.request(server)
    request["alwayson_scripts"]["ControlNet"]["args"][0]["weight"] = 0.0
    for tome in ({"preset": "fast"}, {}):
        alone, beside = server.make(tome, **SMALL), server.make(tome, **request)
        assert max(np.abs(a - b).max() for a, b in zip(alone.pixels, beside.pixels, strict=False)) <= 1
