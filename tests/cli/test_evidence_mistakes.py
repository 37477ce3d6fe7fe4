"""Mistakes on the command line of ``evidence``: one line that names the value and what is allowed, and status 2."""

from __future__ import annotations

import pytest
import torch

from tome_ext.cli import main


def refused(capsys, words, *told):
    assert main(["evidence", *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for text in told:
        assert text in error


@pytest.mark.parametrize(
    ("flag", "value", "allowed"),
    [
        ("--steps", "0", "from 1 to 1000"),
        ("--images", "0", "from 1 to 1000"),
        ("--images", "-3", "from 1 to 1000"),
        ("--prompts", "-2", "from 1 to 1000"),
        ("--prompts", "0", "from 1 to 1000"),
        ("--guidance", "nan", "from 0 to 100"),
        ("--guidance", "inf", "from 0 to 100"),
        ("--batch", "0", "from 1 to 1000"),
        ("--size", "100", "a multiple of 8"),
        ("--seed", "-1", "from 0 to"),
    ],
)
def test_numbers_out_of_range(tmp_path, capsys, flag, value, allowed):
    words = ["benchmark", "--out", str(tmp_path / "run"), f"{flag}={value}"]
    refused(capsys, words, flag, repr(value), allowed)
    assert not (tmp_path / "run" / "images").exists()


def test_the_judge_needs_scenes(capsys):
    refused(capsys, ["judge", "--scenes=-5"], "--scenes", "'-5'", "from 1")


def compbench(tmp_path, *more):
    words = ["t2i-compbench", "--prompts-from", str(tmp_path / "prompts.txt"), "--blip", "none"]
    return [*words, "--out", str(tmp_path / "run"), *more]


def test_a_limit_is_no_negative_number(tmp_path, capsys):
    refused(capsys, compbench(tmp_path, "--limit=-1"), "--limit", "'-1'", "from 0")


def test_a_file_without_prompts(tmp_path, capsys):
    (tmp_path / "prompts.txt").write_text("\n  \n")
    refused(capsys, compbench(tmp_path), "prompts.txt holds no prompts")


@pytest.mark.parametrize(("rank", "world"), [("3", None), ("4", "4"), ("-1", "4"), ("one", "4")])
def test_a_rank_beyond_the_number_of_processes(tmp_path, capsys, monkeypatch, rank, world):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if world:
        monkeypatch.setenv("WORLD_SIZE", world)
    words = ["additivity", "--out", str(tmp_path / "run"), "--prompts", "1", "--device", "cpu"]
    refused(capsys, words, f"RANK = {rank}", "from 0 to WORLD_SIZE - 1")


def test_a_webui_has_to_be_told_the_size(tmp_path, capsys):
    words = ["benchmark", "--out", str(tmp_path / "run"), "--webui", "http://127.0.0.1:9"]
    refused(capsys, words, "--webui needs --size")


def test_an_arm_without_merging_needs_known_groups(tmp_path, capsys, monkeypatch):
    (tmp_path / "prompts.txt").write_text("a red book and a yellow vase\n")
    monkeypatch.setattr("tome_ext.research.commands._blip", lambda arguments: None)
    words = compbench(tmp_path, "--arms", "E entropy, no merging", "--device", "cpu")
    refused(capsys, words, "E entropy, no merging", "a red book and a yellow vase")
    assert not (tmp_path / "run" / "images").exists()


def test_an_image_without_the_method_ends_the_run(tmp_path, capsys, monkeypatch):
    def fail(*_):
        raise torch.cuda.OutOfMemoryError("no memory")

    monkeypatch.setattr("tome_ext.hosts.diffusers.attachment.refine", fail)
    words = ["objects", "--out", str(tmp_path), "--arms", "balanced", "--steps", "1", "--images", "1", "--prompts", "1"]
    refused(capsys, [*words, "--device", "cpu", "--size", "64"], "'balanced'", "OutOfMemoryError: no memory")
    assert not list(tmp_path.glob("images/*"))
