"""A real WebUI for tests: started on a data folder of its own, asked through its API, and stopped again.

``WEBUI_DIR`` is the WebUI's folder. ``WEBUI_COMMAND`` may say how it is started, with ``{port}`` and ``{data}`` in it;
the default is its own Python with launch.py. ``WEBUI_EXTENSION`` may name another checkout of this extension, and
``WEBUI_PORTS`` ("7870-7879") the ports to try. Which host it is, is seen from its folder (:data:`HOST`).
"""

from __future__ import annotations

import json
import os
import random
import shlex
import socket
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
EXTENSION = {"sd-webui-tome": Path(os.environ.get("WEBUI_EXTENSION", ROOT))}
TITLE = "ToMe Semantic Binding"
FOLDER = Path(os.environ.get("WEBUI_DIR", "."))


def _host(folder: Path) -> str:
    """By what lies in its folder."""
    if (folder / "backend").is_dir():
        return "forge" if (folder / "modules" / "sd_hijack.py").is_file() else "neo"
    return "reforge" if (folder / "modules_forge").is_dir() else "a1111"


HOST = _host(FOLDER)
_DEFAULT = "venv/bin/python launch.py --skip-prepare-environment --api --port {port} --data-dir {data}"
_PATIENCE, _ATTEMPTS = 300, 3


class RunningWebUI:
    """A running WebUI with these extensions, by name and folder."""

    def __init__(self, data: Path, extensions: Mapping[str, Path], flags: str = "") -> None:
        self.data, self.log = data, data / "webui.log"
        folder = data / "extensions"
        folder.mkdir(parents=True)
        for name, path in extensions.items():
            (folder / name).symlink_to(path)
        for left in reversed(range(_ATTEMPTS)):
            self._start(flags)
            try:
                self._wait()
                break
            except BaseException:
                self.stop()
                if not left:
                    raise

    def _start(self, flags: str) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = os.environ.get("WEBUI_COMMAND", _DEFAULT).format(port=self.port, data=self.data)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*shlex.split(command), *shlex.split(flags)], cwd=FOLDER, stdout=log, stderr=subprocess.STDOUT
            )

    def _wait(self) -> None:
        """Until it answers. A request that comes before its routes are added can end it: hence the attempts."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the WebUI ended:\n{self.log.read_text(errors='replace')[-3000:]}")
            # A request that comes too early breaks reForge's start.
            if "Startup time" in self.log.read_text(errors="replace"):
                try:
                    if self.ask("/sdapi/v1/script-info"):  # on Forge empty for a moment
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

    def ask(self, path: str, body: Any = None) -> Any:
        """The answer to a GET, or with a body to a POST."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=900) as answer:
            return json.load(answer)


def _free_port() -> int:
    """A free port. Two test runs at once rarely try the same first."""
    first, _, last = os.environ.get("WEBUI_PORTS", "0-0").partition("-")
    ports = list(range(int(first), int(last) + 1))
    for port in random.sample(ports, len(ports)):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(one.getsockname()[1])
    raise RuntimeError("no port is free")
