"""A real ComfyUI for tests: started on a folder of its own, asked through its API, and stopped again.

``COMFYUI_DIR`` is its folder. ``COMFYUI_COMMAND`` may say how it is started, with ``{port}`` and ``{data}`` in it; the
default is the Python of its own ``venv``, on the CPU. ``COMFYUI_EXTENSION`` may name another checkout of the extension.
"""

from __future__ import annotations

import io
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.hosts.process import RunningHost, free_port

ROOT = Path(__file__).parents[3]
EXTENSION = Path(os.environ.get("COMFYUI_EXTENSION", ROOT))
PROBE = Path(__file__).parent / "probe"
FOLDER = Path(os.environ.get("COMFYUI_DIR", "."))
_DEFAULT = (
    "venv/bin/python main.py --cpu --listen 127.0.0.1 --port {port} --base-directory {data} --disable-api-nodes "
    "--database-url sqlite:///{data}/comfyui.db"
)
_PATIENCE = 300

Graph = dict[str, dict[str, Any]]


class RunningComfyUI(RunningHost):
    """A running ComfyUI with these custom nodes."""

    def __init__(self, data: Path, extension: bool = True) -> None:
        self.data, self.log = data, data / "comfyui.log"
        for name in ("custom_nodes", "input", "output", "models/loras", "models/embeddings", "models/checkpoints"):
            (data / name).mkdir(parents=True, exist_ok=True)
        if extension:
            (data / "custom_nodes" / "sd-webui-tome").symlink_to(EXTENSION)
            (data / "custom_nodes" / "probe").symlink_to(PROBE)
        port = free_port()
        command = os.environ.get("COMFYUI_COMMAND", _DEFAULT).format(port=port, data=data)
        self.start(command, FOLDER, port, {"PYTHONDONTWRITEBYTECODE": "1", "TOME_SPACY": "0"})
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.ask("/system_stats")
                return
            except OSError:
                time.sleep(0.5)
        raise RuntimeError(f"ComfyUI is not ready:\n{self.written()[-3000:]}")

    def queue(self, graph: Graph) -> str:
        """Queue a prompt; its id. Refused for a graph that is not valid: AssertionError with what ComfyUI says."""
        try:
            return str(self.ask("/prompt", {"prompt": graph})["prompt_id"])
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def wait(self, prompt: str, seconds: float = 600) -> Result:
        """The result of a queued prompt."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.ask(f"/history/{prompt}")
            if prompt in found:
                return Result(self, found[prompt])
            time.sleep(0.1)
        raise TimeoutError(prompt)

    def run(self, graph: Graph) -> Result:
        """Queue a prompt and wait for it."""
        return self.wait(self.queue(graph))

    def break_(self, what: str) -> None:
        """Have a function of the extension fail; "" mends it."""
        self.ask("/tome_test/break", {"what": what})


class Result:
    """What came of a prompt."""

    def __init__(self, comfy: RunningComfyUI, history: dict[str, Any]) -> None:
        self._comfy, self._history = comfy, history
        self.outputs: dict[str, Any] = history.get("outputs", {})

    @property
    def status(self) -> str:
        """ "success" or "error"."""
        return str(self._history["status"]["status_str"])

    def messages(self, kind: str) -> list[Any]:
        """What ComfyUI said while it ran: "execution_error", "execution_cached" …"""
        return [told for name, told in self._history["status"]["messages"] if name == kind]

    def text(self, node: str) -> str:
        """What a node shows."""
        return "".join(self.outputs.get(node, {}).get("text", []))

    def pictures(self, node: str = "save") -> list[np.ndarray]:
        """The pictures that a node has saved."""
        assert self.status == "success", self.messages("execution_error")
        out = []
        for one in self.outputs[node]["images"]:
            query = urllib.parse.urlencode(one)
            with urllib.request.urlopen(f"{self._comfy.url}/view?{query}", timeout=60) as answer:
                out.append(np.asarray(Image.open(io.BytesIO(answer.read())).convert("RGB")))
        return out
