"""install.py, with pip and the network replaced."""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parent.parent / "install.py"
WHEEL = b"a wheel"


@pytest.fixture
def install(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("tome_install", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "NOTE", tmp_path / "note")
    monkeypatch.setattr(module, "MODEL_SHA256", hashlib.sha256(WHEEL).hexdigest())
    monkeypatch.setattr(module, "has", lambda name: name in module.there)
    module.really_installed = module.installed
    monkeypatch.setattr(module, "installed", lambda: {"numpy": "1.26.2", "torch": "2.1.2+cu121"})
    for name in ("TOME_SPACY", "COMMANDLINE_ARGS", "INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    module.there, module.commands, module.asked, module.pip_says = set(), [], [], ""

    def run(command, **_):
        held = [Path(command[i + 1]).read_text() for i, word in enumerate(command) if word == "--constraint"]
        module.commands.append((command, held))
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
    install.there = {"spacy", "en_core_web_md"}
    install.main()
    assert (install.commands, install.asked, capsys.readouterr().out) == ([], [], "")


def test_spacy_comes_with_every_version_that_is_there_held_and_the_model_alone(install):
    install.main()
    (spacy, constraints), (model, _) = install.commands
    assert spacy[-1].startswith("spacy>=3.7")
    assert constraints == ["numpy==1.26.2\ntorch==2.1.2+cu121\n"]
    assert spacy[spacy.index("--only-binary") :][:2] == ["--only-binary", ":all:"]
    assert {"--no-deps", "--no-index"} <= set(model)


def test_a_model_that_is_not_the_pinned_file_is_not_installed(install, capsys):
    install.answer = b"another wheel"
    install.main()
    assert install.commands == []
    assert "SHA-256" in capsys.readouterr().out


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
        place = tmp_path / folder / f"some_package_x-{version}.dist-info"
        place.mkdir(parents=True)
        (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), str(tmp_path / "second")])
    assert install.really_installed() == {"some-package-x": "2.0"}


def test_pip_s_last_word_is_told(install, capsys):
    install.pip_says = "WARNING: x\nERROR: conflict with numpy==1.26.2\n"
    install.main()
    assert "ERROR: conflict with numpy==1.26.2" in capsys.readouterr().out
    assert len(install.commands) == 1


@pytest.mark.parametrize(("name", "value"), [("TOME_SPACY", "0"), ("COMMANDLINE_ARGS", "--api --skip-install")])
def test_it_can_be_declined(install, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    install.main()
    assert (install.commands, install.asked) == ([], [])


def test_no_model_is_pinned_for_another_spacy(install, monkeypatch, capsys):
    install.there = {"spacy"}
    monkeypatch.setattr(install.importlib.metadata, "version", lambda name: "3.8.1")
    install.main()
    assert install.asked == []
    assert "python -m spacy download" in capsys.readouterr().out


def test_starting_up_with_nothing_to_do_is_quick():
    # Processor time, compared with an interpreter that does nothing, so that a busy machine does not fail the test.
    def seconds(*command):
        before = os.times()
        for _ in range(5):
            subprocess.run([sys.executable, *command], check=True, env={"TOME_SPACY": "0"}, capture_output=True)
        after = os.times()
        return (after.children_user - before.children_user + after.children_system - before.children_system) / 5

    assert seconds(str(FILE)) - seconds("-c", "pass") < 0.1
