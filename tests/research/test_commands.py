from __future__ import annotations

import argparse
import json

import pytest
import torch
from PIL import Image

from tome_ext.cli import main
from tome_ext.research import commands
from tome_ext.research.commands import shard_of
from tome_ext.research.files import lock
from tome_ext.research.judging import blip
from tome_ext.research.judging.object_binding import text_of

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


def object_binding(tmp_path, *more):
    words = ["--out", str(tmp_path), "--device", "cpu", "--arms", "plain", *more]
    return main(["evidence", "object-binding", *words])


def test_answers_without_text_do_not_end_the_run_and_are_asked_for_again(painter, tmp_path, monkeypatch, capsys):
    said = [None, "Score: 75"]

    def ask(self, question, picture):
        return text_of({"choices": [{"message": {"content": said[0]}}]})

    monkeypatch.setattr("tome_ext.research.judging.object_binding.Judge._ask", ask)
    assert object_binding(tmp_path, "--judge-url", "http://127.0.0.1:9/v1") == 0
    assert "without an answer: 50" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "the judge's answer has no text: None; a later run asks again" in capsys.readouterr().out
    said.pop(0)
    assert object_binding(tmp_path, "--judge-url", "http://127.0.0.1:9/v1") == 0
    data = json.loads((tmp_path / "report.json").read_text())
    assert (data["title"], data["rows"][0]["images"]) == ("Object binding, 0 to 100 (images without a score: 0)", 50)


@pytest.mark.parametrize("value", [None, "", "  ", "not\na key", "schlüssel"])
def test_a_key_variable_that_holds_no_key_is_an_error_that_does_not_show_it(tmp_path, monkeypatch, capsys, value):
    monkeypatch.delenv("OUR_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("OUR_KEY", value)
    assert object_binding(tmp_path, "--judge-url", "http://127.0.0.1:9/v1", "--judge-key", "OUR_KEY") == 2
    error = capsys.readouterr().err
    assert "--judge-key: the environment variable OUR_KEY" in error
    assert not [word for word in ("not\\na", "schl") if word in error]


@pytest.mark.parametrize(
    "url", ["http://user:s3cret@127.0.0.1:9/v1?key=s3cret", "user:s3cret@host/v1", "http://u:s3cret@h:x/"]
)
def test_an_address_is_noted_and_shown_without_its_password(painter, tmp_path, capsys, url):
    assert object_binding(tmp_path, "--judge-url", url) == 2
    shown = capsys.readouterr()
    noted = "".join(path.read_text() for path in tmp_path.rglob("*.json*"))
    assert "s3cret" not in shown.err + shown.out + noted


def test_a_webui_is_noted_and_shown_without_its_password(tmp_path, capsys):
    words = ["--out", str(tmp_path / "run"), "--webui", "http://user:s3cret@127.0.0.1:9", "--size", "64"]
    assert main(["evidence", "benchmark", *words]) == 2
    error = capsys.readouterr().err
    assert "http://127.0.0.1:9/sdapi/v1/options does not answer" in error
    assert "s3cret" not in error


def test_the_model_is_not_opened_where_another_process_has_the_folder(tmp_path, monkeypatch, capsys):
    def opened(*_):
        raise AssertionError("opened")

    monkeypatch.setattr("tome_ext.cli.evidence.open_pipeline", opened)
    with lock(tmp_path / ".lock-0-of-1"):
        assert main(["evidence", "objects", "--out", str(tmp_path), "--device", "cpu", "--prompts", "1"]) == 2
    assert "another process is at work" in capsys.readouterr().err
