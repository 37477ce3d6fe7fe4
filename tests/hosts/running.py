"""A real WebUI for tests: started on a data folder of its own, asked through its API, and stopped again.

``WEBUI_DIR`` is the WebUI's folder. ``WEBUI_COMMAND`` may say how it is started, with ``{port}`` and ``{data}`` in it;
the default is its own Python with launch.py. ``WEBUI_EXTENSION`` may name another checkout of this extension, and
``WEBUI_PORTS`` ("7870-7879") the ports to try. Which host it is, is seen from its folder (:data:`HOST`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from tests.hosts.process import RunningHost, free_port

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


class RunningWebUI(RunningHost):
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
        self.port = free_port(os.environ.get("WEBUI_PORTS", "0-0"))
        command = os.environ.get("WEBUI_COMMAND", _DEFAULT).format(port=self.port, data=self.data)
        self.start(f"{command} {flags}", FOLDER, self.port)

    def _wait(self) -> None:
        """Until it answers. A request that comes before its routes are added can end it: hence the attempts."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the WebUI ended:\n{self.written()[-3000:]}")
            # A request that comes too early breaks reForge's start.
            if "Startup time" in self.written():
                try:
                    if self.ask("/sdapi/v1/script-info"):  # on Forge empty for a moment
                        return
                except OSError:
                    pass
            time.sleep(0.5)
        raise RuntimeError(f"the WebUI is not ready:\n{self.written()[-3000:]}")
