"""A real WebUI for tests: started with our extension on a data folder of its own, and stopped again.

``WEBUI_DIR`` is the WebUI's folder. ``WEBUI_COMMAND`` may say how it is started, with ``{port}`` and ``{data}`` in it;
the default is its own Python with launch.py. It needs a checkpoint, the smaller the better.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
TITLE = "ToMe Semantic Binding"
_DEFAULT = "venv/bin/python launch.py --skip-prepare-environment --api --port {port} --data-dir {data}"
_PATIENCE = 300


class WebUI:
    """A running WebUI."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        extensions = data / "extensions"
        extensions.mkdir(parents=True)
        (extensions / "sd-webui-tome").symlink_to(ROOT)
        self.log = data / "webui.log"
        command = os.environ.get("WEBUI_COMMAND", _DEFAULT).format(port=self.port, data=data)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(shlex.split(command), cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the WebUI ended:\n{self.log.read_text(errors='replace')[-3000:]}")
            try:
                status, _ = self.ask("/tome/v1/settings")
                if status == 200 and self.script_info():
                    return
            except OSError:
                pass
            time.sleep(0.5)
        raise RuntimeError(f"the WebUI is not ready:\n{self.log.read_text(errors='replace')[-3000:]}")

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and the answer to a GET, or with a body to a POST."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def script_info(self, name: str = TITLE) -> list[Any]:
        """What the API says about a script, once for each tab."""
        _, scripts = self.ask("/sdapi/v1/script-info")
        return [script for script in scripts if script["name"] == name.lower()]

    def image(self, args: Any = None, tab: str = "txt2img", **more: Any) -> tuple[str, str]:
        """One small image in base64, and its infotext. ``args``: ours, None to leave them out."""
        status, answer = self.ask(f"/sdapi/v1/{tab}", request(args, **more))
        assert status == 200, answer
        return answer["images"][0], json.loads(answer["info"])["infotexts"][0]


def request(args: Any = None, **more: Any) -> dict[str, Any]:
    """A request for a small image."""
    scripts = {} if args is None else {"alwayson_scripts": {TITLE: {"args": args}}}
    size = {"width": 256, "height": 256, "steps": 3}
    fixed = {"prompt": "a red cat and a blue dog", "seed": 1, "sampler_name": "Euler", **size}
    return {**fixed, **scripts, **more}


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
