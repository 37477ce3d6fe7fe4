"""The root ``__init__.py``, which is ComfyUI's door: other programs never notice it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

ROOT = Path(__file__).parents[1]

_IMPORT = """
import importlib.util, json, sys
before = set(sys.modules)
spec = importlib.util.spec_from_file_location("door", sys.argv[1])
door = importlib.util.module_from_spec(spec)
sys.modules["door"] = door
spec.loader.exec_module(door)
new = sorted(set(sys.modules) - before - {"door", "__future__", "typing"})
paths = list(sys.path)
door._register_package()
import tome_ext.settings
print(json.dumps([new, paths == sys.path, tome_ext.__file__, hasattr(door, "NODE_CLASS_MAPPINGS")]))
"""


def test_it_imports_nothing_and_finds_its_own_package(tmp_path):
    made = subprocess.run(
        [sys.executable, "-S", "-I", "-c", _IMPORT, str(ROOT / "__init__.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    new, same_path, package, v1 = json.loads(made.stdout)
    assert [name for name in new if name.partition(".")[0] not in sys.stdlib_module_names] == []
    assert same_path
    assert Path(package) == ROOT / "tome_ext" / "__init__.py"
    assert not v1  # it would hide the entry point


def test_the_installer_does_nothing_in_comfyui(monkeypatch):
    sys.path.insert(0, str(ROOT))
    import install

    monkeypatch.setenv("COMFYUI_PATH", "somewhere")
    monkeypatch.setattr(install, "install", lambda *_: pytest.fail("it installs"))
    install.main()
    assert install.declined()


def test_what_comfyui_is_told_of_the_project():
    tomllib = pytest.importorskip("tomllib")
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["comfy"]
    assert told["DisplayName"]
    assert told["requires-comfyui"].startswith(">=")


def test_the_archive_for_comfyui_holds_what_its_nodes_import():
    ignored = [line for line in (ROOT / ".comfyignore").read_text(encoding="utf-8").split() if not line.startswith("#")]
    assert {"install.py", "tests/"} <= set(ignored)
    for needed in ("tome_ext/hosts/comfyui", "tome_ext/hosts/common", "tome_ext/method", "__init__.py", "web/docs"):
        assert not any(os.path.commonpath([needed, line.rstrip("/")]) == line.rstrip("/") for line in ignored)


NODES = set(re.findall(r'node_id="(\w+)"', (ROOT / "tome_ext/hosts/comfyui/nodes.py").read_text(encoding="utf-8")))


def test_every_node_has_a_help_page():
    assert len(NODES) == 5
    assert {path.stem for path in (ROOT / "web" / "docs").glob("*.md")} == NODES
    assert all(name.startswith("ToMe_") for name in NODES)


@pytest.mark.parametrize("path", sorted((ROOT / "example_workflows").glob("*.json")), ids=lambda path: path.stem)
def test_an_example_workflow_is_whole_and_has_a_picture(path):
    workflow = json.loads(path.read_text(encoding="utf-8"))
    UUID(workflow["id"])  # the page warns of any other
    nodes = {node["id"]: node for node in workflow["nodes"]}
    own = {node["type"] for node in nodes.values() if node["type"].startswith("ToMe_")}
    assert "ToMe_TextEncode" in own
    assert own <= NODES
    for _, source, output, target, _, _ in workflow["links"]:
        assert output < len(nodes[source]["outputs"])
        assert target in nodes
    assert path.with_suffix(".jpg").read_bytes()[:2] == b"\xff\xd8"
    assert not re.search(r"/(?:root|tmp|home)/", path.read_text(encoding="utf-8"))
