"""A real WebUI for tests: started on a data folder of its own, asked through its API, and stopped again.

``WEBUI_DIR`` is the WebUI's folder. ``WEBUI_COMMAND`` may say how it is started, with ``{port}`` and ``{data}`` in it;
the default is its own Python with launch.py. ``WEBUI_CHECKPOINTS`` may name other checkpoints than those of
``CHECKPOINTS``, as JSON; a test whose checkpoint is missing is skipped. Small models are enough. ``WEBUI_REQUEST`` may
change the usual request, as JSON. Which host it is, is seen from its folder (:data:`HOST`). ``WEBUI_COMPANIONS`` may
name a folder with other extensions, each in a folder of its own name (see docs/COMPANIONS.md).
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import random
import shlex
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[3]
PROBE = Path(__file__).parent / "probe"
TITLE = "ToMe Semantic Binding"
CHECKPOINTS = {
    "sdxl": "tiny-sdxl",
    "refiner": "tiny-sdxl-refiner",
    "sdxl-inpainting": "tiny-sdxl-inpainting",
    "sd15": "tiny-sd15",
    "sd15-inpainting": "tiny-sd15-inpainting",
    "sd2-v": "tiny-sd2-v",
    "sdxl-lora": "tiny-sdxl-lora",
    "sd15-lora": "tiny-sd15-lora",
    **json.loads(os.environ.get("WEBUI_CHECKPOINTS", "{}")),
}
FOLDER = Path(os.environ.get("WEBUI_DIR", "."))
HOST = "forge" if (FOLDER / "backend").is_dir() else "reforge" if (FOLDER / "modules_forge").is_dir() else "a1111"
_DEFAULT = "venv/bin/python launch.py --skip-prepare-environment --api --port {port} --data-dir {data}"
_PATIENCE, _ATTEMPTS = 300, 3
PLAIN: dict[str, Any] = {
    "prompt": "a red cat and a blue dog",
    "seed": 1,
    "steps": 6,
    "width": 128,
    "height": 128,
    "cfg_scale": 7,
    "sampler_name": "Euler",
    "scheduler": "Automatic",
    **json.loads(os.environ.get("WEBUI_REQUEST", "{}")),
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


class Server:
    """A running WebUI with the probe, with or without the extension, and with ``companions`` beside it."""

    def __init__(self, data: Path, flags: str = "", *, extension: bool = True, companions: Sequence[str] = ()) -> None:
        self.data = data
        extensions = data / "extensions"
        extensions.mkdir(parents=True)
        (extensions / "tome-probe").symlink_to(PROBE)
        if extension:
            (extensions / "sd-webui-tome").symlink_to(os.environ.get("WEBUI_EXTENSION", ROOT))
        for name in companions:
            (extensions / name).symlink_to(Path(os.environ["WEBUI_COMPANIONS"], name).resolve())
        (data / "styles.csv").write_text('name,prompt,negative_prompt\ncage,"{prompt} and a green bird",\n')
        self.log = data / "webui.log"
        for attempt in range(_ATTEMPTS):
            self._start(flags)
            try:
                self._wait()
                break
            except BaseException:
                self.stop()
                if attempt == _ATTEMPTS - 1:
                    raise
        models = self.ask("/sdapi/v1/sd-models")
        self.samplers = {sampler["name"] for sampler in self.ask("/sdapi/v1/samplers")}
        self.known_options = self.ask("/sdapi/v1/options")
        self.models = {Path(model["model_name"]).stem: model["title"] for model in models}
        self.loaded = ""

    def _start(self, flags: str) -> None:
        self.port = _free_port()
        command = os.environ.get("WEBUI_COMMAND", _DEFAULT).format(port=self.port, data=self.data)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*shlex.split(command), *shlex.split(flags)],
                cwd=os.environ["WEBUI_DIR"],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _wait(self) -> None:
        """Until it answers. A request that comes before its routes are added can end it: hence the attempts."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the WebUI ended:\n{self.log.read_text(errors='replace')[-3000:]}")
            # A request that comes too early breaks reForge's start.
            if "Startup time" not in self.log.read_text(errors="replace"):
                time.sleep(0.5)
                continue
            try:
                self.ask("/probe/state")
                if self.ask("/sdapi/v1/script-info"):  # on Forge empty for a moment
                    return
            except OSError:
                pass
        raise RuntimeError(f"the WebUI is not ready:\n{self.log.read_text(errors='replace')[-3000:]}")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=900) as answer:
            return json.load(answer)

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
        if HOST == "forge" and body.get("enable_hr"):
            body.setdefault("hr_additional_modules", ["Use same choices"])  # its API has no default for it
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
        """What stood under the last job's images."""
        return list(self.probe()["comments"])


def _free_port() -> int:
    """A free port; WEBUI_PORTS ("7870-7879") may say from where. Two test runs at once rarely try the same first."""
    first, _, last = os.environ.get("WEBUI_PORTS", "0-0").partition("-")
    ports = list(range(int(first), int(last) + 1))
    for port in random.sample(ports, len(ports)):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(one.getsockname()[1])
    raise RuntimeError("no free port")
