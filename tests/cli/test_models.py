from __future__ import annotations

import pytest
import torch

from tome_ext.cli import main, models
from tome_ext.cli.console import CommandError
from tome_ext.cli.models import choose_device


@pytest.fixture
def asked(monkeypatch):
    """CUDA is there; notes on which device a tensor is made."""
    devices = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "empty", lambda *size, device: devices.append(str(device)))
    return devices


@pytest.mark.parametrize(("rank", "device"), [(None, "cuda"), ("", "cuda"), ("0", "cuda:0"), ("3", "cuda:3")])
def test_each_process_of_a_machine_has_a_gpu_of_its_own(asked, monkeypatch, rank, device):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert str(choose_device("auto")) == device
    assert asked == [device]


def test_a_named_device_is_the_one_that_is_taken(asked, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert str(choose_device("cuda:1")) == "cuda:1"


def test_without_cuda_the_rank_does_not_matter(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert str(choose_device("auto")) == "cpu"


def test_a_rank_that_is_no_number_is_refused(asked, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "first")
    with pytest.raises(CommandError, match="cuda:first"):
        choose_device("auto")


@pytest.mark.parametrize("content", [b"", b"no safetensors", b"\x10\0\0\0\0\0\0\0{broken header}}"])
def test_a_broken_file_is_said_in_one_line(tmp_path, capsys, content):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    assert main(["generate", "a cat", "--model", str(path), "--device", "cpu", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"model {str(path)!r} cannot be opened" in error
    assert error.count("\n") == 1


def test_a_broken_file_of_the_training_is_said_in_one_line(tmp_path):
    from safetensors.torch import save_file

    save_file({"tokens": torch.zeros(1)}, str(tmp_path / "a.safetensors"), metadata={"scaling": "not json"})
    with pytest.raises(CommandError, match="cannot be opened"):
        models.open_pipeline(str(tmp_path / "a.safetensors"), torch.device("cpu"), torch.float32)
