"""install.py, with pip and the network replaced."""

from __future__ import annotations

import dataclasses
import hashlib
import http.client
import importlib.util
import io
import subprocess
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parent.parent / "install.py"
WHEEL = b"a wheel"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """install.py with pip, the network and what is installed replaced."""
    spec = importlib.util.spec_from_file_location("tome_install", FILE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "tome_install", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "NOTE", tmp_path / "note")
    for name in ("NUMPY_1", "NUMPY_2"):
        pinned = dataclasses.replace(getattr(module, name), sha256=hashlib.sha256(WHEEL).hexdigest())
        monkeypatch.setattr(module, name, pinned)
    monkeypatch.setattr(module, "has", lambda name: name in module.there)
    module.really_installed = module.installed
    module.packages = {"numpy": "1.26.2", "torch": "2.1.2+cu121"}
    monkeypatch.setattr(module, "installed", lambda: dict(module.packages))
    for name in ("TOME_SPACY", "COMMANDLINE_ARGS", "INDEX_URL", "COMFYUI_PATH"):
        monkeypatch.delenv(name, raising=False)
    module.there, module.commands, module.asked = {"pip"}, [], []
    module.pip_says, module.load_says, module.environments = "", "", []

    def run(command, *, env, timeout, **_):
        held = [Path(command[i + 1]).read_text() for i, word in enumerate(command) if word == "--constraint"]
        module.commands.append((command, held))
        module.environments.append(env)
        assert 0 < timeout <= 600
        if command[1] == "-c":
            return subprocess.CompletedProcess(command, bool(module.load_says), "", module.load_says)
        if "install" in command and not module.pip_says:
            module.packages |= {"spacy": "3.7.5", "thinc": "8.2.5"} if "spacy" in command[-1] else {}
        return subprocess.CompletedProcess(command, bool(module.pip_says), "", module.pip_says)

    def urlopen(url, timeout):
        module.asked.append(url)
        if isinstance(module.answer, Exception):
            raise module.answer
        return io.BytesIO(module.answer)

    module.answer = WHEEL
    monkeypatch.setattr(module.subprocess, "run", run)
    monkeypatch.setattr(module.urllib.request, "urlopen", urlopen)
    return module


def test_nothing_is_done_where_all_is_there(install, capsys):
    install.there |= {"spacy", "en_core_web_md"}
    install.main()
    assert (install.commands, install.asked, capsys.readouterr().out) == ([], [], "")


def test_spacy_comes_with_every_version_that_is_there_held_and_the_model_alone(install, capsys):
    install.main()
    (spacy, constraints), (model, _), (loading, _) = install.commands
    assert spacy[-1].startswith("spacy>=3.7")
    assert constraints == ["numpy==1.26.2\ntorch==2.1.2+cu121\n"]
    assert spacy[spacy.index("--only-binary") :][:2] == ["--only-binary", ":all:"]
    assert {"--no-deps", "--no-index"} <= set(model)
    assert loading[1] == "-c"
    assert "spaCy is ready." in capsys.readouterr().out


@pytest.mark.parametrize(("numpy", "series"), [("1.26.4", "3.7"), ("2.3.5", "3.8"), (None, "3.8")])
def test_spacy_and_its_model_fit_the_numpy_that_is_there(install, numpy, series):
    install.packages = {"numpy": numpy} if numpy else {}
    install.main()
    assert install.commands[0][0][-1].startswith(f"spacy>={series}.")
    assert f"en_core_web_sm-{series}." in install.asked[0]
    assert f"en_core_web_sm-{series}." in install.commands[1][0][-1]


@pytest.mark.parametrize("version", ["3.7.5", "3.8.7"])
def test_the_model_fits_the_spacy_that_is_there(install, version):
    install.there |= {"spacy"}
    install.packages["spacy"] = version
    install.main()
    assert f"en_core_web_sm-{version[:3]}." in install.asked[0]
    assert [command[1] for command, _ in install.commands] == ["-m", "-c"]


def test_what_does_not_load_is_removed_again_and_never_called_ready(install, capsys):
    install.load_says = "Traceback ...\nValueError: numpy.dtype size changed, may indicate binary incompatibility\n"
    install.main()
    said = capsys.readouterr().out
    assert "ready" not in said
    assert "spaCy does not load (ValueError: numpy.dtype size changed" in said
    assert "What had been installed was removed again." in said
    removal = install.commands[-1][0]
    assert removal[2:4] == ["pip", "uninstall"]
    assert removal[-2:] == ["spacy", "thinc"]
    install.commands.clear()
    install.main()
    assert install.commands == []


def test_a_model_that_is_not_the_pinned_file_is_not_installed(install, capsys):
    install.answer = b"another wheel"
    install.main()
    assert install.commands == []
    assert "SHA-256" in capsys.readouterr().out


def test_a_model_that_never_ends_is_not_read_to_its_end(install, monkeypatch, capsys):
    monkeypatch.setattr(install, "LARGEST", 1 << 17)
    install.answer = bytes(1 << 20)
    install.main()
    assert "larger than it should be" in capsys.readouterr().out
    assert install.commands == []


def test_offline_it_says_so_in_one_line_and_does_not_try_again(install, capsys):
    install.answer = OSError("no route")
    install.main()
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert "no route" in said[1]
    assert "The built-in parser is used" in said[1]
    install.main()
    assert len(install.asked) == 1
    assert capsys.readouterr().out == ""


def test_a_download_that_breaks_off_is_said(install, capsys):
    install.answer = http.client.IncompleteRead(b"a wh")
    install.main()
    assert "could not be downloaded" in capsys.readouterr().out
    assert install.commands == []


def test_of_two_packages_of_one_name_the_one_that_is_imported_is_held(install, tmp_path, monkeypatch):
    for folder, name, version in (("first", "Some_Package.x", "2.0"), ("second", "some-package-x", "1.0")):
        metadata(tmp_path / folder, name, version)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), str(tmp_path / "second")])
    assert install.really_installed() == {"some-package-x": "2.0"}


def metadata(folder: Path, name: str, version: str) -> Path:
    place = folder / f"{name.lower()}-{version}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return place / "METADATA"


def test_a_package_whose_metadata_cannot_be_read_is_left_out(install, tmp_path, monkeypatch):
    metadata(tmp_path, "good", "1.0")
    metadata(tmp_path, "bytes", "1.0").write_bytes(b"\xff\xfe\x00")
    metadata(tmp_path, "empty", "1.0").write_text("")
    broken = metadata(tmp_path, "folder", "1.0")
    broken.unlink()
    broken.mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert install.really_installed() == {"good": "1.0"}


def test_a_full_temporary_folder_is_said_in_one_line(install, monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(install.tempfile, "TemporaryDirectory", full)
    install.main()
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert "no room for temporary files ([Errno 28] No space left on device)" in said[1]


def test_a_file_that_does_not_fit_into_the_temporary_folder_is_said_in_one_line(install, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(install.Path, "write_bytes", full)
    install.main()
    assert "no room for temporary files" in capsys.readouterr().out


def test_without_pip_nothing_is_tried_and_with_it_all_is_tried_again(install, capsys):
    install.there = set()
    install.main()
    assert "this Python has no pip" in capsys.readouterr().out
    assert (install.commands, install.asked) == ([], [])
    install.main()
    assert capsys.readouterr().out == ""
    install.there = {"pip"}
    install.main()
    assert "spaCy is ready." in capsys.readouterr().out


def test_a_failure_that_nobody_thought_of_is_one_line(install, monkeypatch, capsys):
    def odd():
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(install, "installed", odd)
    install.main()
    assert "(ZeroDivisionError: of all things)" in capsys.readouterr().out
    install.main()
    assert capsys.readouterr().out == ""


def test_pip_s_last_word_is_told(install, capsys):
    install.pip_says = "WARNING: x\nERROR: conflict with numpy==1.26.2\n"
    install.main()
    assert "ERROR: conflict with numpy==1.26.2" in capsys.readouterr().out
    assert len(install.commands) == 1


def test_another_last_word_is_told_as_well(install, capsys):
    install.pip_says = "/usr/bin/python3: No module named pip\n"
    install.main()
    assert "could not be installed (/usr/bin/python3: No module named pip)" in capsys.readouterr().out


SECRET = "https://user:s3cr@t/et@mirror.example/simple?token=s3cret"


def test_the_password_of_an_index_is_neither_shown_nor_an_argument(install, monkeypatch, capsys):
    monkeypatch.setenv("INDEX_URL", SECRET)
    install.pip_says = f"ERROR: Could not reach {SECRET}: refused\n"
    install.main()
    said = capsys.readouterr().out
    assert "ERROR: Could not reach https://mirror.example/simple refused" in said
    assert not [word for word in ("s3cr", "et@", "user", "token") if word in said]
    assert not [word for command, _ in install.commands for word in command if "s3cr" in word]
    assert install.environments[0]["PIP_INDEX_URL"] == SECRET


def test_everything_together_has_a_time_limit(install, monkeypatch, capsys):
    def slow(command, *, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(install.subprocess, "run", slow)
    install.main()
    assert "took more than 10 minutes and was stopped" in capsys.readouterr().out
    with pytest.raises(install.StepError, match="10 minutes"):
        install.Clock(-1).left()


@pytest.mark.parametrize(
    ("name", "value"),
    [("TOME_SPACY", "0"), ("COMMANDLINE_ARGS", "--api --skip-install"), ("COMFYUI_PATH", "/somewhere")],
)
def test_it_can_be_declined_and_does_nothing_in_comfyui(install, monkeypatch, capsys, name, value):
    monkeypatch.setenv(name, value)
    install.main()
    assert (install.commands, install.asked, capsys.readouterr().out) == ([], [], "")


def test_no_model_is_pinned_for_another_spacy(install, capsys):
    install.there |= {"spacy"}
    install.packages["spacy"] = "4.0.1"
    install.main()
    assert install.asked == []
    assert "no model is pinned for spaCy 4.0.1; 'python -m spacy download" in capsys.readouterr().out


def test_starting_up_with_nothing_to_do_imports_the_standard_library_alone():
    code = f"""
import runpy, sys
before = set(sys.modules)
runpy.run_path({str(FILE)!r}, run_name="__main__")
new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(sorted(new - set(sys.stdlib_module_names)))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, env={"TOME_SPACY": "0"}, capture_output=True)
    assert done.stdout.split() == [b"[]"]
