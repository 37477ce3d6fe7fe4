"""What a wheel needs: every file of the package that is no module is named in pyproject.toml."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_every_file_of_the_package_is_packed():
    tomllib = pytest.importorskip("tomllib")  # from Python 3.11 on
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["*"]
    files = [path for path in (ROOT / "tome_ext").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert ROOT / "tome_ext" / "py.typed" in files
    left = [path.name for path in files if not any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns)]
    assert left == []
