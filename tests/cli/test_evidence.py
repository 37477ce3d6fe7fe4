from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.models import untrained_pipeline
from tome_ext.cli import main
from tome_ext.embedded import shapes_file
from tome_ext.research.world.captions import vocabulary


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    pipe = untrained_pipeline()
    path = tmp_path_factory.mktemp("model") / "untrained.safetensors"
    shapes_file.write_model(path, pipe.vae, pipe.text_encoder, pipe.text_encoder_2, pipe.unet, words=vocabulary())
    return str(path)


def run_small(model, folder, *more):
    flags = ["--prompts", "1", "--images", "1", "--steps", "2", "--device", "cpu", *more]
    return main(["evidence", "additivity", "--model", model, "--out", str(folder), *flags])


def test_help_needs_no_torch():
    code = (
        "import sys; from tome_ext.cli import main\n"
        "try: main(['evidence', 'benchmark', '--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_an_experiment_writes_its_report_and_goes_on(model, tmp_path, capsys):
    assert run_small(model, tmp_path) == 0
    data = json.loads((tmp_path / "report.json").read_text())
    assert [row["arm"] for row in data["rows"]][:4] == ["phrase", "clean prompt", "sum of words", "composite alone"]
    assert data["model"] == "untrained.safetensors"
    images = sorted((tmp_path / "images").iterdir())
    assert len(images) == 4
    assert Image.open(images[0]).size == (192, 192)
    stamps = [path.stat().st_mtime_ns for path in images]
    assert run_small(model, tmp_path) == 0
    assert [path.stat().st_mtime_ns for path in images] == stamps
    assert "| one thing | phrase | 1 |" in capsys.readouterr().out


def test_real_says_how_long_it_takes_makes_a_page_and_is_judged_when_blip_is_there(
    model, tmp_path, capsys, monkeypatch
):
    def real(*more):
        flags = ["--limit", "2", "--images", "1", "--steps", "10", "--device", "cpu", "--arms", "balanced", *more]
        return main(["evidence", "real", "--model", model, "--out", str(tmp_path), *flags])

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert real() == 0
    told = capsys.readouterr().out
    assert "4 images, 4 to make" in told
    assert "this will take about " in told
    assert "no scores: BLIP-VQA" in told
    assert (tmp_path / "index.html").read_text().count("<img") == 4
    assert len(list((tmp_path / "images").iterdir())) == 4

    class Questions:
        @classmethod
        def open(cls, model_id, device):
            return cls()

        def score(self, image, prompt):
            return 0.5

    monkeypatch.setattr("tome_ext.research.commands.BlipQuestions", Questions)
    assert real() == 0
    told = capsys.readouterr().out
    assert "4 images, 0 to make" in told
    assert "| all | balanced | 2 | 0.500 | +0.000 (+0.000 … +0.000) |" in told


def test_one_arm_can_be_chosen_and_a_wrong_one_is_named(model, tmp_path, capsys):
    assert run_small(model, tmp_path, "--arms", "nothing") == 2
    assert "nothing" in capsys.readouterr().err
    assert run_small(model, tmp_path, "--arms", "phrase") == 0
    assert len(list((tmp_path / "images").iterdir())) == 1


def test_two_models_in_one_folder_are_refused(model, tmp_path, capsys):
    other = tmp_path / Path(model).name
    pipe = untrained_pipeline(7)
    parts = (pipe.vae, pipe.text_encoder, pipe.text_encoder_2, pipe.unet)
    shapes_file.write_model(other, *parts, words=vocabulary())
    assert run_small(model, tmp_path) == 0
    assert run_small(str(other), tmp_path) == 2
    assert "weights" in capsys.readouterr().err


def test_two_judges_in_one_folder_are_refused(model, tmp_path, capsys):
    assert run_small(model, tmp_path) == 0
    assert run_small(model, tmp_path, "--blip", "some/blip") == 2
    assert "judge 'shapes', not 'BLIP, some/blip'" in capsys.readouterr().err


def test_export_wants_to_know_where_to(capsys):
    assert main(["evidence", "export"]) == 2
    assert "--webui" in capsys.readouterr().err


def test_the_export_loads_in_diffusers(model, tmp_path):
    from diffusers import StableDiffusionXLPipeline

    assert main(["evidence", "export", "--model", model, "--diffusers", str(tmp_path / "folder")]) == 0
    pipe = StableDiffusionXLPipeline.from_pretrained(str(tmp_path / "folder"), local_files_only=True)
    assert pipe.unet.config.norm_num_groups == 8
    assert pipe.tokenizer_2("a ring", padding="max_length", max_length=6).input_ids[-1] == 0


def test_the_export_for_the_webui_has_all_its_files(model, tmp_path):
    assert main(["evidence", "export", "--model", model, "--webui", str(tmp_path)]) == 0
    assert (tmp_path / "shapes.safetensors").stat().st_size > 1e8
    assert str((tmp_path / "shapes-clip").resolve()) in (tmp_path / "shapes.yaml").read_text(encoding="utf-8")
    config = json.loads((tmp_path / "shapes-clip" / "config.json").read_text())
    assert (config["hidden_size"], config["num_hidden_layers"]) == (64, 3)
    assert (tmp_path / "shapes-clip" / "merges.txt").read_text(encoding="utf-8").startswith("#version: 0.2\ni n\n")


def test_object_binding_without_an_endpoint_fails_in_one_line(model, tmp_path, capsys):
    flags = ["--steps", "1", "--device", "cpu", "--arms", "plain", "--size", "64"]
    url = ["--judge-url", "http://127.0.0.1:9/v1"]
    assert main(["evidence", "object-binding", "--model", model, "--out", str(tmp_path), *url, *flags]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_the_judges_accuracy_is_printed(capsys):
    assert main(["evidence", "judge", "--scenes", "3"]) == 0
    assert "renders (3 scenes" in capsys.readouterr().out
