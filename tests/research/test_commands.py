from __future__ import annotations

import argparse
import json

import pytest
import torch
from PIL import Image

from tome_ext.cli import main
from tome_ext.research import commands
from tome_ext.research.commands import shard_of
from tome_ext.research.judging import blip

PICTURE = Image.new("RGB", (8, 8), "red")


def painted(pipe):
    return lambda arm, prompt, seeds, sampling: [PICTURE for _ in seeds]


@pytest.fixture
def painter(monkeypatch):
    """Images need no model."""
    monkeypatch.setattr("tome_ext.cli.evidence.open_pipeline", lambda *_: None)
    monkeypatch.setattr(commands, "diffusers_maker", painted)


class Questions:
    """A BLIP that answers every question alike."""

    opened: list[tuple[str, torch.device]]

    @classmethod
    def open(cls, model_id, device):
        cls.opened.append((model_id, device))
        return cls()

    def score(self, image, prompt):
        return 0.5


@pytest.fixture
def opened(monkeypatch):
    Questions.opened = []
    monkeypatch.setattr(commands, "BlipQuestions", Questions)
    return Questions.opened


def test_accelerates_environment_says_which_shard_this_is():
    assert shard_of({"RANK": "2", "WORLD_SIZE": "4"}) == (2, 4)
    assert shard_of({"WORLD_SIZE": "4"}) == (0, 4)


@pytest.mark.parametrize("environment", [{"RANK": "3"}, {"RANK": "2", "WORLD_SIZE": "2"}, {"WORLD_SIZE": "0"}])
def test_a_shard_beyond_the_number_of_processes_is_refused(environment):
    with pytest.raises(ValueError, match="RANK must be a whole number from 0 to WORLD_SIZE - 1"):
        shard_of(environment)


def test_blip_is_on_the_device_of_the_command_line(opened):
    commands._blip(argparse.Namespace(blip="some/blip", device="meta"))
    assert opened == [("some/blip", torch.device("meta"))]


def compbench(tmp_path):
    (tmp_path / "color_val.txt").write_text("a red book and a yellow vase\n")
    words = ["--prompts-from", str(tmp_path / "color_val.txt"), "--blip", "some/blip", "--device", "cpu"]
    return main(["evidence", "t2i-compbench", *words, "--out", str(tmp_path / "run"), "--images", "1"])


def test_the_report_says_what_made_the_chunks(painter, opened, tmp_path, monkeypatch):
    monkeypatch.setattr(blip, "_spacy", lambda: None)
    assert compbench(tmp_path) == 0
    assert opened == [("some/blip", torch.device("cpu"))]
    data = json.loads((tmp_path / "run" / "report.json").read_text())
    assert data["title"].startswith("T2I-CompBench, color_val (noun chunks by splitting")
    monkeypatch.setattr(blip, "_spacy", lambda: lambda prompt: None)
    assert compbench(tmp_path) == 0
    assert "(noun chunks by spaCy's en_core_web_sm)" in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")


def test_images_without_a_score_are_counted_and_do_not_end_the_run(painter, tmp_path, monkeypatch):
    answers = iter(["Score: 75", "I cannot see pictures."] * 500)
    asked = []

    def ask(self, question, picture):
        asked.append(question)
        return next(answers)

    monkeypatch.setattr("tome_ext.research.judging.object_binding.Judge._ask", ask)
    words = ["--judge-url", "http://127.0.0.1:9/v1", "--out", str(tmp_path), "--device", "cpu", "--arms", "plain"]
    for _ in range(2):
        assert main(["evidence", "object-binding", *words]) == 0
        data = json.loads((tmp_path / "report.json").read_text())
        assert data["title"] == "Object binding, 0 to 100 (images without a score: 25)"
        assert [(row["arm"], row["images"], row["mean"]) for row in data["rows"]] == [("plain", 25, 75.0)]
    assert len(asked) == 50
