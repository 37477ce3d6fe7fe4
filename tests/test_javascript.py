"""The page's script, by node's own test runner."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_script_of_the_page():
    node = shutil.which("node")
    if node is None or int(subprocess.run([node, "--version"], capture_output=True, text=True).stdout[1:3]) < 18:
        pytest.skip("needs node 18 or newer")
    tests = sorted(str(path) for path in (ROOT / "tests" / "javascript").glob("*.test.js"))
    assert tests
    found = subprocess.run([node, "--test", *tests], capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stdout + found.stderr
