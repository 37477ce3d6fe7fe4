"""A real WebUI with the probe and small models; see :mod:`tests.hosts.running` for how it is named.

``WEBUI_CHECKPOINTS`` may name other checkpoints than those of ``CHECKPOINTS``, as JSON; a test whose checkpoint is
missing is skipped. Small models are enough. ``WEBUI_REQUEST`` may change the usual request, as JSON.
``WEBUI_COMPANIONS`` may name a folder with other extensions, each in a folder of its own name (docs/COMPANIONS.md).
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.hosts.running import EXTENSION, HOST, TITLE, RunningWebUI

BOUND = "ToMe bound "
PROBE = Path(__file__).parent / "probe"
CHECKPOINTS = {
    "sdxl": "tiny-sdxl",
    "refiner": "tiny-sdxl-refiner",
    "sdxl-inpainting": "tiny-sdxl-inpainting",
    "sd15": "tiny-sd15",
    "sd15-inpainting": "tiny-sd15-inpainting",
    "sd2-v": "tiny-sd2-v",
    "sdxl-flow": "tiny-rectified-sdxl",
    "sd15-gguf": "tiny-sd15-q8_0",
    "sdxl-lora": "tiny-sdxl-lora",
    "sd15-lora": "tiny-sd15-lora",
    **json.loads(os.environ.get("WEBUI_CHECKPOINTS", "{}")),
}
ASKED: dict[str, Any] = json.loads(os.environ.get("WEBUI_REQUEST", "{}"))
PLAIN: dict[str, Any] = {
    "prompt": "a red cat and a blue dog",
    "seed": 1,
    "steps": 6,
    "width": 128,
    "height": 128,
    "cfg_scale": 7,
    "sampler_name": "Euler",
    "scheduler": "Automatic",
    **ASKED,
}


@dataclass
class Images:
    """What one request brought: pictures [height, width, 3], their infotexts, and the seconds it took."""

    pixels: list[np.ndarray]
    infotexts: list[str]
    encoded: list[str]
    seconds: float

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Images)
        same = [np.array_equal(a, b) for a, b in zip(self.pixels, other.pixels, strict=True)]
        return all(same)


class Server(RunningWebUI):
    """A running WebUI with the probe, with or without the extension, and with ``companions`` beside it."""

    def __init__(self, data: Path, flags: str = "", *, extension: bool = True, companions: Sequence[str] = ()) -> None:
        data.mkdir(parents=True)
        (data / "styles.csv").write_text('name,prompt,negative_prompt\ncage,"{prompt} and a green bird",\n')
        beside = {name: Path(os.environ["WEBUI_COMPANIONS"], name).resolve() for name in companions}
        super().__init__(data, {"tome-probe": PROBE, **(EXTENSION if extension else {}), **beside}, flags)
        models = self.ask("/sdapi/v1/sd-models")
        self.samplers = {sampler["name"] for sampler in self.ask("/sdapi/v1/samplers")}
        self.known_options = self.ask("/sdapi/v1/options")
        self.latent_upscalers = self.ask("/sdapi/v1/latent-upscale-modes")
        self.models = {Path(model["model_name"]).stem: model["title"] for model in models}
        self.loaded = ""

    def probe(self, route: str = "state", /, **query: Any) -> Any:
        return self.ask(f"/probe/{route}?{urllib.parse.urlencode(query)}")

    @contextlib.contextmanager
    def options(self, values: dict[str, Any]) -> Iterator[None]:
        """Other options for a while. (The host does not restore an ``override_settings`` that config.json lacks.)"""
        if not values:
            yield
            return
        known = self.ask("/sdapi/v1/options")
        self.ask("/sdapi/v1/options", values)
        try:
            yield
        finally:
            self.ask("/sdapi/v1/options", {name: known[name] for name in values})

    def load(self, checkpoint: str) -> None:
        if checkpoint != self.loaded:
            self.ask("/sdapi/v1/options", {"sd_model_checkpoint": self.models[CHECKPOINTS[checkpoint]]})
            self.loaded = checkpoint

    def has(self, checkpoint: str) -> bool:
        return CHECKPOINTS[checkpoint] in self.models

    def make(self, tome: dict[str, Any] | None = None, tab: str = "txt2img", **more: Any) -> Images:
        """Make images; ``tome``: the extension's settings by name, None without it."""
        body = {**PLAIN, **more}
        if body.get("enable_hr"):
            if HOST in ("forge", "neo"):
                body.setdefault("hr_additional_modules", ["Use same choices"])  # its API has no default for it
            if body.get("hr_upscaler") == "Latent" and not self.latent_upscalers:
                body["hr_upscaler"] = "None"
        if tome is not None:
            body["alwayson_scripts"] = {**body.get("alwayson_scripts", {}), TITLE: {"args": [True, tome]}}
        start = time.monotonic()
        answer = self.ask(f"/sdapi/v1/{tab}", body)
        seconds = time.monotonic() - start
        encoded = answer["images"]
        pictures = [Image.open(io.BytesIO(base64.b64decode(one))).convert("RGB") for one in encoded]
        texts = json.loads(answer["info"])["infotexts"]
        return Images([np.asarray(one).astype(int) for one in pictures], texts, encoded, seconds)

    def comments(self) -> list[str]:
        """What stood under the last job's images, but for the line about what was bound."""
        return [line for line in self.probe()["comments"] if not line.startswith(BOUND)]

    def bound(self) -> str:
        """The line about what was bound; empty where there was none."""
        return "".join(line for line in self.probe()["comments"] if line.startswith(BOUND))
