"""Mistakes on the command line: one line on what is wrong, status 2, nothing sampled and nothing half written."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from tome_ext.cli import main, models
from tome_ext.embedded.random_model import random_pipeline
from tome_ext.embedded.shapes_file import FILE


@pytest.fixture
def refused(monkeypatch, tmp_path, capsys):
    """Run ``generate``; nothing may be sampled."""

    def sample(*_, **__):
        raise AssertionError("sampled")

    monkeypatch.setattr("tome_ext.cli.generate.sample", sample)

    def run(*words: str, out=tmp_path / "out") -> str:
        assert main(["generate", *words, "--out", str(out), "--device", "cpu"]) == 2
        shown = capsys.readouterr().err
        (error,) = [line for line in shown.splitlines() if "Loading" not in line and line.strip()]
        assert error.startswith("tome_ext: error: ")
        return error

    return run


@pytest.fixture
def no_model(monkeypatch):
    """A test in which no model may be opened."""

    def opened(*_):
        raise AssertionError("opened")

    monkeypatch.setattr("tome_ext.cli.generate.open_pipeline", opened)


@pytest.mark.parametrize("method", [[], ["--compare"]])
def test_a_typo_in_groups_is_found_before_a_model_is_opened(refused, no_model, method):
    assert "groups = 'circle:': expected a word that belongs to 'circle', found the end (character 8)" in refused(
        "a red circle", "--groups", "circle:", *method
    )


@pytest.mark.parametrize(
    ("layers", "told"),
    [("foo", "no cross-attention layer of this model"), ("*", "layers of different resolutions cannot be averaged")],
)
def test_layers_that_the_model_cannot_give_are_found_before_the_sampling(refused, one_pipeline, layers, told):
    assert f"layers = '{layers}': {told}" in refused("a red circle", "--layers", layers, "--compare")
    assert told in refused("a red circle", "--layers", layers, "--preset", "fast", "--attention-maps")


def test_a_prompt_that_is_not_utf8_is_found_before_a_model_is_opened(refused, no_model):
    prompt = os.fsdecode(b"a red \xff cat")
    assert "prompt: character 7 is not valid Unicode; the text must be UTF-8" in refused(prompt)


def test_a_whole_program_run_with_such_a_prompt_shows_no_traceback(tmp_path):
    command = [sys.executable, "-m", "tome_ext", "generate", b"a red \xff cat", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert done.stderr.count(b"\n") == 1


@contextlib.contextmanager
def file_size_limit(limit: int):
    """Let files end after ``limit`` bytes, as on a full disk."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_found_before_a_model_is_opened(refused, no_model, tmp_path):
    with file_size_limit(1000):
        error = refused("a cat")
    assert f"nothing can be written to the folder {tmp_path / 'out'}" in error
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_that_fills_up_later_leaves_no_half_picture(stub_host, one_pipeline, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tome_ext.cli.generate._PROBE", 10)
    with file_size_limit(2000):
        status = main(["generate", "a cat", "--steps", "1", "--size", "64x64", "--quiet", "--out", str(tmp_path)])
    assert status == 2
    assert "cannot be written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_made_with_its_parents(stub_host, one_pipeline, tmp_path):
    out = tmp_path / "one" / "two"
    assert main(["generate", "a cat", "--steps", "1", "--size", "64x64", "--quiet", "--out", str(out)]) == 0
    assert len(list(out.glob("*.png"))) == 1


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    random_pipeline().save_pretrained(folder)
    return folder


def changed(saved, change):
    """The folder with another model_index.json."""
    path = saved / "model_index.json"
    before = path.read_text()
    index = json.loads(before)
    path.write_text(json.dumps(change(index)))
    return before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda index: [], "does not name a pipeline"),
        (lambda index: {}, "does not name a pipeline"),
        (lambda index: {**index, "_class_name": ["own", "Pipeline"]}, "does not name a pipeline"),
        (lambda index: {**index, "_class_name": "NoSuchPipeline"}, "cannot be opened"),
        (lambda index: {**index, "unet": ["own_unet", "Unet"]}, "its part 'unet' is ['own_unet', 'Unet']"),
        (lambda index: {**index, "unet": ["diffusers", "NoSuchModel"]}, "cannot be opened"),
        (lambda index: {**index, "unet": ["diffusers"]}, "cannot be opened"),
    ],
)
def test_a_broken_model_folder_is_named_in_one_line(refused, saved, change, reason):
    before = changed(saved, change)
    try:
        error = refused("a cat", "--model", str(saved))
    finally:
        (saved / "model_index.json").write_text(before)
    assert str(saved) in error
    assert reason in error


def test_code_in_a_model_folder_is_not_run(refused, saved, tmp_path):
    (saved / "own_unet.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Unet: pass\n")
    before = changed(saved, lambda index: {**index, "unet": ["own_unet", "Unet"]})
    try:
        refused("a cat", "--model", str(saved))
    finally:
        (saved / "model_index.json").write_text(before)
        (saved / "own_unet.py").unlink()
    assert not (tmp_path / "ran").exists()


def test_an_empty_folder_is_no_model(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "model_index.json" in refused("a cat", "--model", str(tmp_path / "empty"))


def test_a_training_file_with_a_token_that_does_not_exist_is_refused(refused, tmp_path):
    from importlib import resources

    from safetensors import safe_open

    with resources.as_file(resources.files("tome_ext.embedded").joinpath(FILE)) as own:
        tensors = load_file(str(own))
        with safe_open(str(own), framework="pt") as file:
            metadata = file.metadata()
    tensors["tokens"] = torch.full_like(tensors["tokens"], 10**9)
    save_file(tensors, str(tmp_path / "a.safetensors"), metadata=metadata)
    assert "a.safetensors' cannot be opened" in refused("a cat", "--model", str(tmp_path / "a.safetensors"))


def test_whatever_a_library_raises_is_one_line(refused, monkeypatch, tmp_path):
    class Odd(Exception):
        pass

    def fail(*_):
        raise Odd("x" * 10_000 + "\nmore")

    monkeypatch.setattr(models, "_checkpoint", fail)
    (tmp_path / "a.safetensors").write_bytes(b"")
    monkeypatch.setattr(models, "_is_shapes", lambda path: False)
    assert len(refused("a cat", "--model", str(tmp_path / "a.safetensors"))) < 1000


def test_a_line_of_standard_input_that_is_nested_too_deep_is_named(monkeypatch, capsys):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO('"a cat"\n' + "[" * 100_000 + "\n"))
    assert main(["groups", "--stdin", "--json"]) == 2
    assert "standard input, line 2" in capsys.readouterr().err
