"""The two commands for a fresh machine; no environment is made here and nothing is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tome_ext import environment, quickstart
from tome_ext.environment import (
    INSTALLING,
    REQUIREMENTS,
    ROOT,
    STAMP,
    SetupError,
    check_python,
    ensure_environment,
    explain,
    missing_packages,
    requirement_names,
    state_of,
    torch_requirement,
    venv_python,
    wanted_stamp,
)


@pytest.fixture
def clone(tmp_path, monkeypatch) -> Path:
    """A folder with a requirements file, in which making and installing only leave marks."""
    (tmp_path / REQUIREMENTS).write_text("torch==2.13.0\nother>=1 # why\n")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "_answers", lambda venv: venv_python(venv).is_file())
    monkeypatch.setattr(environment, "missing_packages", lambda venv: [])
    return tmp_path


@pytest.fixture
def steps(clone, monkeypatch) -> list[str]:
    """The steps that ``ensure_environment`` takes, in order."""
    taken: list[str] = []

    def create(venv: Path) -> None:
        taken.append("create")
        venv_python(venv).parent.mkdir(parents=True, exist_ok=True)
        venv_python(venv).touch()

    monkeypatch.setattr(environment, "_create", create)
    monkeypatch.setattr(environment, "_pip", lambda venv, arguments: taken.append(f"pip {arguments[0]}"))
    monkeypatch.setattr(environment, "_link", lambda root, venv: None)
    monkeypatch.setattr(environment, "_check_loading", lambda root, venv: None)
    return taken


FRESH = ["create", "pip torch==2.13.0", "pip -r"]


def test_a_fresh_clone_is_set_up_torch_first(clone, steps):
    assert ensure_environment(clone) == venv_python(clone / ".venv")
    assert steps == FRESH


def test_the_second_time_nothing_is_done(clone, steps, capsys):
    ensure_environment(clone)
    steps.clear()
    ensure_environment(clone)
    assert steps == []
    assert "ready" in capsys.readouterr().out


def test_changed_requirements_are_installed_into_the_same_environment(clone, steps):
    ensure_environment(clone)
    steps.clear()
    (clone / REQUIREMENTS).write_text("torch==2.13.0\nnewer\n")
    ensure_environment(clone)
    assert steps == FRESH[1:]


def test_a_package_that_was_removed_is_installed_again(clone, steps, monkeypatch):
    ensure_environment(clone)
    steps.clear()
    monkeypatch.setattr(environment, "missing_packages", lambda venv: ["other"])
    ensure_environment(clone)
    assert steps == FRESH[1:]


def test_an_interrupted_installation_is_made_anew(clone, steps, monkeypatch):
    def interrupted(venv, arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(environment, "_pip", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ensure_environment(clone)
    assert (clone / ".venv" / STAMP).read_text().strip() == INSTALLING
    assert state_of(clone / ".venv", wanted_stamp(clone)) == "broken"
    steps.clear()
    (clone / ".venv" / "leftover").touch()
    ensure_environment(clone)
    assert steps == FRESH
    assert not (clone / ".venv" / "leftover").exists()


def test_a_failed_download_is_continued_not_made_anew(clone, steps, monkeypatch):
    def fails(venv, arguments):
        raise SetupError("no network")

    with monkeypatch.context() as patched:
        patched.setattr(environment, "_pip", fails)
        with pytest.raises(SetupError, match="no network"):
            ensure_environment(clone)
    steps.clear()
    ensure_environment(clone)
    assert steps == FRESH[1:]


def test_an_environment_whose_python_is_gone_is_made_anew(clone, steps):
    ensure_environment(clone)
    venv_python(clone / ".venv").unlink()
    steps.clear()
    ensure_environment(clone)
    assert steps == FRESH


@pytest.fixture(
    params=["file", "folder", "lib and files", "venv without pip", "venv with pip", "link", "dangling link"]
)
def users_own(request, clone) -> Path:
    """Something called .venv that this command did not make."""
    place = clone / ".venv"
    if request.param == "file":
        place.write_text("mine")
    elif request.param == "dangling link":
        place.symlink_to(clone / "nowhere")
    elif request.param == "link":
        ensure_stamp(clone / "elsewhere")
        place.symlink_to(clone / "elsewhere")
    else:
        place.mkdir()
        (place / "lib").mkdir()
        (place / "mine.txt").write_text("mine")
        if "venv" in request.param:
            (place / "pyvenv.cfg").touch()
        if "with pip" in request.param:
            venv_python(place).parent.mkdir()
            venv_python(place).touch()
    return place


def ensure_stamp(folder: Path) -> None:
    folder.mkdir()
    (folder / STAMP).write_text(INSTALLING)


def contents(place: Path) -> list[tuple[str, str]]:
    return sorted((str(path), path.read_text() if path.is_file() else "") for path in [place, *place.rglob("*")])


def test_only_an_environment_with_its_own_stamp_is_ever_touched(clone, steps, users_own):
    before = contents(users_own)
    with pytest.raises(SetupError, match="was not made by this command, so it is left alone"):
        ensure_environment(clone)
    assert steps == []
    assert contents(users_own) == before


def test_an_environment_interrupted_while_it_was_made_is_known_as_our_own(clone, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(environment.subprocess, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ensure_environment(clone)
    assert state_of(clone / ".venv", wanted_stamp(clone)) == "broken"


def test_an_environment_interrupted_while_it_was_removed_is_known_as_our_own(clone, monkeypatch):
    place = clone / ".venv"
    ensure_stamp(place)
    for name in ("aaa", "zzz"):
        (place / name).mkdir()

    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(environment.shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        environment._remove(place)
    assert state_of(place, wanted_stamp(clone)) == "broken"


def test_packages_whose_files_are_gone_are_found(tmp_path, monkeypatch):
    (tmp_path / REQUIREMENTS).write_text("whole\ndamaged\nabsent\n")
    code = tmp_path / "packages"
    for name in ("whole", "damaged"):
        info = code / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{name}/__init__.py,,\n{name}-1.0.dist-info/METADATA,,\n")
    (code / "whole").mkdir()
    (code / "whole" / "__init__.py").touch()
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "venv_python", lambda venv: Path(sys.executable))
    monkeypatch.setattr(
        environment, "_MISSING", f"import sys; sys.path.insert(0, {str(code)!r})\n{environment._MISSING}"
    )
    assert missing_packages(tmp_path) == ["!damaged", "absent"]


def test_an_environment_whose_packages_are_damaged_is_made_anew(clone, steps, monkeypatch):
    ensure_environment(clone)
    steps.clear()
    with monkeypatch.context() as patched:
        patched.setattr(environment, "missing_packages", lambda venv: ["!other"])
        ensure_environment(clone)
    assert steps == FRESH


def test_a_clone_in_a_folder_with_an_umlaut_is_found_in_every_encoding(tmp_path, monkeypatch):
    root = tmp_path / "Jörg 日本"
    root.mkdir()
    (root / "of_the_clone.py").touch()
    packages = tmp_path / "packages"
    packages.mkdir()
    done = subprocess.CompletedProcess([], 0, str(packages).encode())
    with monkeypatch.context() as patched:
        patched.setattr(environment.subprocess, "run", lambda *_, **__: done)
        environment._link(root, tmp_path)
    (file,) = packages.glob("*.pth")
    assert file.read_bytes().isascii()
    code = f"import site; site.addsitedir({str(packages)!r}); import of_the_clone"
    for way in (["-X", "utf8=0"], ["-X", "utf8=1"]):
        assert subprocess.run([sys.executable, *way, "-c", code], env={**os.environ, "LC_ALL": "C"}).returncode == 0


def test_an_empty_folder_called_venv_is_used(clone, steps):
    (clone / ".venv").mkdir()
    ensure_environment(clone)
    assert steps == FRESH


def test_a_full_disk_is_said_before_anything_is_made(clone, steps, monkeypatch):
    monkeypatch.setattr(environment, "NEEDED_BYTES", 2**80)
    with pytest.raises(SetupError, match="GB are free"):
        ensure_environment(clone)
    assert steps == []


def test_an_incomplete_clone_is_said(tmp_path):
    with pytest.raises(SetupError, match="complete clone"):
        ensure_environment(tmp_path)


@pytest.mark.parametrize("version", [(3, 10), (3, 11, 7), (3, 12, 0), (3, 13, 1)])
def test_the_supported_pythons_pass(version):
    check_python(version)


@pytest.mark.parametrize("version", [(2, 7), (3, 9, 18), (3, 14, 0), (4, 0)])
def test_other_pythons_are_refused_by_name(version, monkeypatch):
    monkeypatch.setattr(environment.shutil, "which", lambda name: None)
    with pytest.raises(SetupError, match=rf"Python {version[0]}\.{version[1]}, and Python 3\.10 to 3\.13 is needed"):
        check_python(version)


def test_a_supported_python_on_the_path_is_suggested(monkeypatch):
    monkeypatch.setattr(environment.shutil, "which", lambda name: name if name == "python3.11" else None)
    with pytest.raises(SetupError, match=r"There is a python3\.11 here"):
        check_python((3, 14))


@pytest.mark.parametrize(
    ("printed", "meaning"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        (
            "WARNING: Retrying ... NewConnectionError('Failed to establish a new connection: [Errno -2]')\n"
            "ERROR: No matching distribution found for torch==2.13.0",
            "could not be reached",
        ),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "could not be verified"),
        ("ERROR: No matching distribution found for torch==2.13.0\n", "There is no torch==2.13.0 for this Python"),
        (
            "WARNING: The repository located at mirror.example is not a trusted or secure host and is being ignored.\n"
            "ERROR: No matching distribution found for torch==2.13.0\n",
            "its address is not https",
        ),
        ("PermissionError: [Errno 13] Permission denied: '/x'", "could not be written"),
    ],
)
def test_what_pip_prints_is_explained(printed, meaning):
    assert meaning in explain(printed)


def test_what_is_not_recognised_is_not_explained():
    assert explain("ERROR: something new") == ""


def test_a_failing_pip_is_reported_with_its_explanation(monkeypatch, tmp_path, capfd):
    script = tmp_path / "pip.py"
    script.write_text("import sys; sys.exit('ERROR: No matching distribution found for ' + sys.argv[-1])")
    monkeypatch.setattr(environment, "venv_python", lambda venv: Path(sys.executable))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"There is no some-package for this Python"):
        environment._pip(tmp_path, ["some-package"])
    assert "ERROR: No matching" in capfd.readouterr().err


def test_names_are_read_from_a_requirements_file():
    text = "# a comment\ntorch==2.13.0\n\na.b>=1; python_version < '3.11'\na.b>=2\nc[extra] ~= 3 # why\n"
    assert requirement_names(text) == ["torch", "a.b", "c"]


def test_the_committed_requirements_pin_everything_and_torch_exactly():
    text = (ROOT / REQUIREMENTS).read_text()
    assert torch_requirement(text) == "torch==2.13.0"
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.match(r"[\w-]+==[\w.]+(;|$)", line) for line in lines)


def test_each_requirement_has_one_version_for_each_python():
    from packaging.requirements import Requirement

    requirements = [
        Requirement(line) for line in (ROOT / REQUIREMENTS).read_text().splitlines() if line and line[0] != "#"
    ]
    for version in ("3.10", "3.11", "3.12", "3.13"):
        names = [r.name for r in requirements if r.marker is None or r.marker.evaluate({"python_version": version})]
        assert sorted(names) == sorted(set(requirement_names((ROOT / REQUIREMENTS).read_text())))


@pytest.mark.parametrize(("failing", "status"), [(None, 0), ("ruff", 1), ("mypy", 1), ("pytest", 3)])
def test_the_test_command_fails_when_one_tool_fails_and_runs_pytest_last(monkeypatch, failing, status):
    ran: list[str] = []

    def run(command, **options):
        ran.append(command[2])
        return subprocess.CompletedProcess(command, 3 if command[2] == failing else 0)

    monkeypatch.setattr(quickstart.subprocess, "run", run)
    assert quickstart.test(Path("python"), Path(), []) == status
    assert ran == ["ruff", "ruff", "mypy", "pytest"]


def test_further_arguments_go_to_pytest_and_to_generate(monkeypatch):
    commands: list[list[str]] = []

    def run(command, **options):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(quickstart.subprocess, "run", run)
    monkeypatch.setattr(quickstart, "ensure_environment", lambda root: Path("python"))
    monkeypatch.setattr(quickstart.os, "cpu_count", lambda: 2)
    monkeypatch.delenv("WEBUI_DIR", raising=False)
    monkeypatch.delenv("COMFYUI_DIR", raising=False)
    assert quickstart.main(["test", "--", "-k", "settings"]) == 0
    assert commands[-1][2:] == ["pytest", "-n", "2", "--dist", "worksteal", "-k", "settings"]
    for host in ("WEBUI_DIR", "COMFYUI_DIR"):  # it serves one test at a time
        with monkeypatch.context() as asked:
            asked.setenv(host, "somewhere")
            assert quickstart.main(["test", "--", "-k", "settings"]) == 0
        assert commands[-1][2:] == ["pytest", "-k", "settings"]
    assert quickstart.main(["demo", "--", "a cat", "--steps", "3"]) == 0
    assert commands[-1][2:] == ["tome_ext", "generate", "a cat", "--steps", "3"]
    assert quickstart.main(["demo"]) == 0
    assert "--compare" in commands[-1]


def test_a_problem_is_said_plainly_with_status_1(monkeypatch, capsys):
    def fails(root):
        raise SetupError("the moon is in the way")

    monkeypatch.setattr(quickstart, "ensure_environment", fails)
    assert quickstart.main(["demo"]) == 1
    assert "This did not work: the moon is in the way" in capsys.readouterr().err


def test_ci_runs_the_command_that_the_readme_gives():
    command = "python3 -m tome_ext.quickstart test"
    assert command in (ROOT / "README.md").read_text(encoding="utf-8")
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
