"""The arrows of docs/ARCHITECTURE.md, read from the source: who may import whom."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tome_ext"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Lowest first: a part may import those before it, never those behind it.
LAYERS = ("settings", "prompts", "tokens", "embedded", "method", "cost", "hosts", "research", "cli")
# Within the method, lowest first; the folder ``backward`` counts as its modules.
METHOD = (
    "window",
    "precision",
    "resolution",
    "merging",
    "layers",
    "attention",
    "losses",
    "state",
    "operations",
    "quantised",
    "weights",
    "autograd",
    "checkpointing",
    "memory",
    "descent",
    "objective",
    "refine",
    "composition",
)
# These stand beside the layers: they run before anything is installed, or only start the command line.
OUTSIDE = ("environment", "quickstart", "__init__", "__main__")
WEBUI = ("modules", "modules_forge", "launch", "backend", "gradio", "comfy", "comfy_api", "folder_paths", "server")
TORCH_FREE = ("settings", "prompts", "tokens", "environment", "quickstart", "__init__")
TORCH_FREE_FILES = (
    "method/__init__.py",
    "method/window.py",
    "embedded/counts.py",
    "cost/__init__.py",
    "cost/estimate.py",
)


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The absolute names of all modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).with_suffix("").parts[: -node.level] if node.level else ()
            module = ".".join([*package, *([node.module] if node.module else [])])
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def parts_imported(path: Path) -> set[str]:
    names = (name.split(".") for name in imported(path))
    return {name[1] for name in names if name[0] == "tome_ext" and len(name) > 1} - {"__version__"}


def test_the_reader_of_imports_sees_every_form(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    file = tmp_path / "tome_ext" / "prompts" / "x.py"
    file.parent.mkdir(parents=True)
    file.write_text("import a.b\ndef f():\n    from ..hosts import c\n    from . import d\n    from e import g\n")
    assert {"a.b", "tome_ext.hosts", "tome_ext.hosts.c", "tome_ext.prompts.d", "e"} <= imported(file)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_point_one_way(path):
    part = part_of(path)
    if part in OUTSIDE:
        return
    assert part in LAYERS, f"{part} has no place in LAYERS yet"
    allowed = {*LAYERS[: LAYERS.index(part) + 1]}
    assert parts_imported(path) <= allowed


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_hosts_know_a_webui(path):
    roots = {name.split(".")[0] for name in imported(path)}
    assert part_of(path) == "hosts" or not roots & set(WEBUI)


def _torch_free(path: Path) -> bool:
    return part_of(path) in TORCH_FREE or path.relative_to(PACKAGE).as_posix() in TORCH_FREE_FILES


@pytest.mark.parametrize("path", [*filter(_torch_free, MODULES)], ids=lambda p: str(p.relative_to(ROOT)))
def test_prompts_and_settings_run_without_torch(path):
    assert not {name.split(".")[0] for name in imported(path)} & {"torch", "numpy", "diffusers", "transformers"}


def test_quickstart_needs_nothing_but_python():
    import sys

    for name in ("environment", "quickstart", "__init__"):
        roots = {module.split(".")[0] for module in imported(PACKAGE / f"{name}.py")}
        assert roots <= {*sys.stdlib_module_names, "tome_ext"}
        assert parts_imported(PACKAGE / f"{name}.py") - {"environment.ROOT"} <= {"environment"}


@pytest.mark.parametrize("path", [*(PACKAGE / "method").rglob("*.py")], ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_within_the_method(path):
    if path.stem == "__init__":
        return
    below = METHOD[: METHOD.index(path.stem)]
    names = {name.split(".")[-1] for name in imported(path) if name.startswith("tome_ext.method.")}
    assert names & set(METHOD) <= set(below)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_research_is_imported_by_the_command_line_alone(path):
    """And there by the command ``evidence``: neither a host nor ``generate`` needs it."""
    if part_of(path) != "research" and path.relative_to(PACKAGE).as_posix() != "cli/evidence.py":
        assert "research" not in parts_imported(path)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_clips_numbers_have_one_home(path):
    """BOS, EOT and the length of a chunk; ``default_rng(77)`` is another 77."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    seeds = {id(one) for node in ast.walk(tree) if isinstance(node, ast.Call) for one in node.args}
    numbers = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in seeds}
    home = path.relative_to(PACKAGE).as_posix() == "tokens/vocabulary.py"
    assert {n for n in numbers if n in (77, 49406, 49407)} == ({77, 49406, 49407} if home else set())


def test_folders_and_files_stay_small():
    loose = [path.name for path in PACKAGE.glob("*.py") if path.stem not in ("__init__", "__main__")]
    assert len(loose) <= 3
    for folder in {path.parent for path in MODULES}:
        assert len(list(folder.glob("*.py"))) <= 14, f"{folder} has more than 14 modules"
    for path in [*MODULES, ROOT / "install.py"]:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 300, f"{path} has {lines} lines"


def test_the_tests_mirror_the_package():
    """Every folder of tests stands for one of the package, and every package with code has tests."""
    own = {path.parent.relative_to(ROOT / "tests").as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    package = {path.parent.relative_to(PACKAGE).as_posix() for path in MODULES}
    assert own - {".", "hosts/webui/running"} <= package
    unnamed = {folder for folder in package if not any(one == folder or one.startswith(f"{folder}/") for one in own)}
    assert unnamed <= {".", "research/export", "prompts/lexicon"}
