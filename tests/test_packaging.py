"""What a wheel needs: every file of the package that is no module is named in pyproject.toml."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path

import pytest

from tome_ext import __version__, environment

ROOT = Path(__file__).parents[1]


def test_every_file_of_the_package_is_packed():
    tomllib = pytest.importorskip("tomllib")  # from Python 3.11 on
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["*"]
    files = [path for path in (ROOT / "tome_ext").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert ROOT / "tome_ext" / "py.typed" in files
    left = [path.name for path in files if not any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns)]
    assert left == []


def test_the_oldest_versions_are_those_that_are_promised():
    tomllib = pytest.importorskip("tomllib")
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = {}
    for line in [*project["dependencies"], *project["optional-dependencies"]["diffusers"]]:
        requirement = Requirement(line)
        for one in (one for one in requirement.specifier if one.operator == ">="):
            promised[requirement.name] = one.version
    lines = (ROOT / ".github" / "oldest-requirements.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    assert {"torch", "numpy", "diffusers", "transformers"} <= promised.keys()
    for name, version in promised.items():
        assert pinned[name].removesuffix(".0") == version.removesuffix(".0"), name


def test_the_pythons_of_the_project_are_those_of_quickstart_and_of_the_workflow():
    from packaging.specifiers import SpecifierSet

    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [f"3.{minor}" for minor in range(20) if f"3.{minor}" in SpecifierSet(project["requires-python"])]
    assert wanted == [f"3.{minor}" for minor in range(environment.OLDEST[1], environment.NEWEST[1] + 1)]
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert f"python: [{', '.join(map(json.dumps, wanted))}]" in workflow
    assert "python -m tome_ext.quickstart test" in workflow


def test_the_workflows_are_yaml():
    yaml = pytest.importorskip("yaml")
    for path in [*(ROOT / ".github").rglob("*.yml"), ROOT / "CITATION.cff", ROOT / ".pre-commit-config.yaml"]:
        assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict), path


def test_the_citation_names_this_version_and_the_paper():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {__version__}\n" in text
    assert "arXiv:2411.07132" in text


CITED = re.compile(r"docs/(\w+\.\w+)((?:,? (?:and )?\"[^\"]+\"|, [\d, and]+)*)")


def test_every_page_and_section_that_the_code_cites_is_there():
    cited = {
        (page, section)
        for path in [*(ROOT / "tome_ext").rglob("*.py"), *(ROOT / "scripts").glob("*.py"), ROOT / "install.py"]
        for page, sections in CITED.findall(" ".join(path.read_text(encoding="utf-8").split()))
        for section in ["", *re.findall(r'"([^"]+)"', sections)]
    }
    assert ("METHOD.md", "The four parts") in cited
    for page, section in cited:
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        assert not section or f"\n## {section}\n" in text, (page, section)
