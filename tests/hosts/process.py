"""A host's process in tests: started, asked through its API, and stopped again."""

from __future__ import annotations

import json
import os
import random
import shlex
import socket
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_ANSWER = 900


class RunningHost:
    """The process of a host with its data in a folder of its own, and what it writes in ``log``."""

    log: Path
    url: str
    process: subprocess.Popen[bytes]

    def start(self, command: str, folder: Path, port: int, environment: Mapping[str, str] | None = None) -> None:
        """Run ``command`` in ``folder``; it is to answer at ``port``."""
        self.url = f"http://127.0.0.1:{port}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                shlex.split(command),
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )

    def written(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace")

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
        with urllib.request.urlopen(request, timeout=_ANSWER) as answer:
            text = answer.read()
        return json.loads(text) if text else None


def free_port(within: str = "0-0") -> int:
    """A free port, of a range where one is given. Two test runs at once rarely try the same first."""
    first, _, last = within.partition("-")
    ports = list(range(int(first), int(last) + 1))
    for port in random.sample(ports, len(ports)):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(one.getsockname()[1])
    raise RuntimeError("no port is free")
