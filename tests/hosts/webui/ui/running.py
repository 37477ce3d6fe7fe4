"""A real WebUI with the extension alone, as a person has it; see :mod:`tests.hosts.running` for how it is named."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import urllib.error
from pathlib import Path
from typing import Any

from PIL import Image

from tests.hosts.running import EXTENSION, HOST, TITLE, RunningWebUI


class WebUI(RunningWebUI):
    """A running WebUI."""

    def __init__(self, data: Path) -> None:
        (data / "styles.csv").write_text('name,prompt,negative_prompt\nquick,"{prompt} <tome:fast>",\n')
        super().__init__(data, EXTENSION)

    def status(self, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and the answer, whatever it is."""
        try:
            return 200, self.ask(path, body)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def script_info(self, name: str = TITLE) -> list[Any]:
        """What the API says about a script, once for each tab."""
        return [script for script in self.ask("/sdapi/v1/script-info") if script["name"] == name.lower()]

    def image(self, args: Any = None, tab: str = "txt2img", **more: Any) -> tuple[str, str]:
        """One small image in base64, and its infotext. ``args``: ours, None to leave them out."""
        status, answer = self.status(f"/sdapi/v1/{tab}", request(args, **more))
        assert status == 200, answer
        return answer["images"][0], json.loads(answer["info"])["infotexts"][0]


def request(args: Any = None, **more: Any) -> dict[str, Any]:
    """A request for a small image."""
    scripts = {} if args is None else {"alwayson_scripts": {TITLE: {"args": args}}}
    size: dict[str, Any] = {
        "width": 256,
        "height": 256,
        "steps": 3,
        **json.loads(os.environ.get("WEBUI_REQUEST", "{}")),
    }
    # Forge's API has no default for this one, and its own infotext needs it.
    size |= {"hr_additional_modules": ["Use same choices"]} if HOST in ("forge", "neo") else {}
    fixed = {"prompt": "a red cat and a blue dog", "seed": 1, "sampler_name": "Euler", **size}
    return {**fixed, **scripts, **more}


def pixels(encoded: str) -> str:
    """What stands for the pixels of an image file in base64; its infotext is another matter."""
    return hashlib.sha256(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB").tobytes()).hexdigest()
