from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """Starts real WebUIs with flags of their own, one at a time, for tests marked ``webui``."""
    if not os.environ.get("WEBUI_DIR"):
        pytest.skip("needs a WebUI: set WEBUI_DIR (see tests/hosts/running.py)")
    from tests.hosts.webui.running.server import Server

    running: dict[tuple[str, bool, tuple[str, ...]], Server] = {}

    def server(flags: str = "", *, extension: bool = True, companions: tuple[str, ...] = ()) -> Server:
        key = (flags, extension, companions)
        if key not in running:
            for one in [*running]:
                running.pop(one).stop()
            data: Path = tmp_path_factory.mktemp("webui")
            running[key] = Server(data / "data", flags, extension=extension, companions=companions)
        return running[key]

    yield server
    for one in running.values():
        one.stop()


@pytest.fixture
def webui(servers):
    """A real WebUI with the extension, nothing broken, and SDXL loaded."""
    server = servers()
    server.probe("break", what="")
    server.load("sdxl")
    return server
