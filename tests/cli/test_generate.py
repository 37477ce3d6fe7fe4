from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tome_ext.cli import build_parser, main
from tome_ext.cli.console import CommandError
from tome_ext.cli.generate import plan, slug, unused
from tome_ext.cli.recipe import Recipe, read_recipe, save_png
from tome_ext.cli.sampling import Task, batches, sample
from tome_ext.settings import preset

QUICK = ["--steps", "2", "--size", "64x72", "--seed", "5", "--quiet"]


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def planned(*words: str) -> tuple[list[str], Recipe]:
    return plan(build_parser().parse(["generate", *words]))


@pytest.fixture
def generate(stub_host, one_pipeline, tmp_path, capsys):
    def run(*words: str, folder: str = "out"):
        status = main(["generate", *words, "--out", str(tmp_path / folder)])
        assert status == 0, capsys.readouterr().err
        return {path.stem: path for path in (tmp_path / folder).iterdir()}

    return run


def test_one_prompt_gives_one_picture_of_the_size_asked_for(generate):
    files = generate("a cat", *QUICK)
    assert list(files) == ["a-cat-5"]
    assert pixels(files["a-cat-5"]).shape == (72, 64, 3)
    assert pixels(files["a-cat-5"]).std() > 10


def test_prompts_and_counts_multiply_and_seeds_go_up(generate):
    files = generate("a cat", "A dog!", "--count", "2", *QUICK)
    assert sorted(files) == ["a-cat-5", "a-cat-6", "a-dog-5", "a-dog-6"]
    assert read_recipe(files["a-dog-6"]).seed == 6
    assert read_recipe(files["a-dog-6"]).prompt == "A dog!"
    assert np.abs(pixels(files["a-cat-5"]) - pixels(files["a-cat-6"])).mean() > 1


def test_a_batch_gives_the_pictures_that_single_runs_give(generate):
    single = generate("a cat", "a dog", "--count", "2", *QUICK)
    batch = generate("a cat", "a dog", "--count", "2", "--batch", "3", *QUICK, folder="batch")
    assert single.keys() == batch.keys()
    for name in single:
        assert np.abs(pixels(single[name]) - pixels(batch[name])).max() <= 2


def test_compare_saves_both_pictures_and_the_sheet(generate, capsys):
    files = generate("a cat", "--compare", *QUICK)
    assert sorted(files) == ["a-cat-5", "a-cat-5-compare", "a-cat-5-plain"]
    assert np.abs(pixels(files["a-cat-5"]) - pixels(files["a-cat-5-plain"])).mean() > 1
    sheet = pixels(files["a-cat-5-compare"])
    assert sheet.shape[0] > 72
    assert sheet.shape[1] >= 2 * 64
    assert str(files["a-cat-5-compare"]) in capsys.readouterr().out


def test_plain_never_attaches(generate, capsys):
    files = generate("a cat", "--plain", *QUICK)
    compared = generate("a cat", "--compare", *QUICK, folder="compared")
    assert list(files) == ["a-cat-5-plain"]
    assert (pixels(files["a-cat-5-plain"]) == pixels(compared["a-cat-5-plain"])).all()


def test_attention_maps_have_a_panel_per_composite_token(generate):
    files = generate("a cat", "--attention-maps", *QUICK)
    assert sorted(files) == ["a-cat-5", "a-cat-5-maps"]
    assert pixels(files["a-cat-5-maps"]).shape[1] >= 3 * 64


@pytest.mark.parametrize("method", [[], ["--compare"], ["--plain"]])
def test_from_image_repeats_the_picture_exactly(generate, method):
    words = ["--noun-weight", "1.7", "--negative", "blur", "--guidance", "5.5", "--scheduler", "ddim", *QUICK]
    first = generate("a cat", *method, *words)
    for name, path in first.items():
        again = generate("--from-image", str(path), "--quiet", folder=f"again-{name}")
        assert (pixels(again[name]) == pixels(path)).all()
        assert read_recipe(again[name]) == read_recipe(path)


def test_flags_beside_from_image_change_single_things(generate):
    first = generate("a cat", "--preset", "fast", *QUICK)["a-cat-5"]
    second = generate("--from-image", str(first), "--noun-weight", "2", "--quiet", folder="b")["a-cat-5"]
    assert read_recipe(second) == read_recipe(first).replace(settings=preset("fast").replace(noun_weight=2.0))
    assert (pixels(first) != pixels(second)).any()


def test_what_was_finished_before_an_interrupt_is_there(generate, monkeypatch, tmp_path):
    calls = []

    def sample_once(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return sample(*arguments, **options)

    monkeypatch.setattr("tome_ext.cli.generate.sample", sample_once)
    assert main(["generate", "a cat", "--count", "3", *QUICK, "--out", str(tmp_path / "out")]) == 130
    assert [path.stem for path in (tmp_path / "out").iterdir()] == ["a-cat-5"]


def test_too_little_memory_is_said_in_one_line(generate, monkeypatch, tmp_path, capsys):
    def fails(*arguments, **options):
        raise RuntimeError("CUDA out of memory. Tried to allocate ...")

    monkeypatch.setattr("tome_ext.cli.generate.sample", fails)
    assert main(["generate", "a cat", *QUICK, "--out", str(tmp_path)]) == 2
    assert "out of memory: try a smaller --size" in capsys.readouterr().err


def test_nothing_is_overwritten(generate):
    generate("a cat", *QUICK)
    assert sorted(generate("a cat", *QUICK)) == ["a-cat-5", "a-cat-5_2"]


def test_the_user_sees_the_groups_and_the_warnings_without_control_characters(generate, capsys):
    generate("a\x1b[31mcat", *QUICK)
    shown = capsys.readouterr()
    assert "a <- \\x1b[" in shown.out
    assert "warning: about a\\x1b[31mcat" in shown.err
    assert "\x1b" not in shown.out + shown.err


def test_a_random_model_is_announced(stub_host, tmp_path, capsys):
    assert main(["generate", "a cat", "--model", "random-sd15", *QUICK, "--out", str(tmp_path)]) == 0
    assert "random weights" in capsys.readouterr().out
    assert read_recipe(tmp_path / "a-cat-5.png").model == "random-sd15"


def test_a_folder_saved_by_diffusers_gives_the_same_picture(generate, pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path / "my-model")
    ours = generate("a cat", *QUICK)["a-cat-5"]
    theirs = generate("a cat", "--model", str(tmp_path / "my-model"), *QUICK, folder="b")["a-cat-5"]
    assert (pixels(ours) == pixels(theirs)).all()
    assert read_recipe(theirs).model == "my-model"


def test_a_model_that_only_the_metadata_names_is_not_opened(tmp_path):
    save_png(Image.new("RGB", (8, 8)), tmp_path / "a.png", Recipe("a", 1, model="someone/else"))
    with pytest.raises(CommandError, match=r"someone/else.*--model"):
        planned("--from-image", str(tmp_path / "a.png"))
    assert planned("--from-image", str(tmp_path / "a.png"), "--model", "random-sdxl")[1].model == "random-sdxl"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a PROMPT"),
        (["a", "--size", "64"], "must be WIDTHxHEIGHT"),
        (["a", "--size", "0x64"], "must be WIDTHxHEIGHT"),
        (["a", "--size", "00x512"], "size = '00x512': must be WIDTHxHEIGHT"),
        (["a", "--size", "65x64"], "width = 65: must be a multiple of 8"),
        (["a", "--count", "0"], "count = 0: must be a whole number from 1"),
        (["a", "--seed", "-1"], "seed = -1"),
        (["a", "--seed", str(2**63 - 1), "--count", "2"], "seed = "),
        (["a", "b" * 20_001], "prompt = "),
        (["a", "--guidance", "nan"], "guidance = nan"),
        (["a", "--batch", "0"], "batch = 0"),
        (["a", "--from-image", "nowhere.png"], "nowhere.png cannot be read"),
    ],
)
def test_a_mistake_is_found_before_a_model_is_opened(words, message):
    with pytest.raises(CommandError, match=message):
        planned(*words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "no/such/folder"], "no such file or folder"),
        (["--device", "abacus"], "device 'abacus' cannot be used"),
    ],
)
def test_a_model_or_device_that_is_not_there_is_said_in_one_line(tmp_path, capsys, words, message):
    assert main(["generate", "a cat", *words, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["model.ckpt", "model.pt", "model.bin"])
def test_a_checkpoint_that_could_run_code_is_refused(tmp_path, capsys, name):
    (tmp_path / name).write_bytes(b"")
    assert main(["generate", "a cat", "--model", str(tmp_path / name), "--out", str(tmp_path)]) == 2
    assert "only .safetensors" in capsys.readouterr().err


def test_an_output_folder_that_cannot_be_made_is_said_in_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["generate", "a cat", "--out", str(tmp_path / "file" / "out")]) == 2
    assert "cannot be made" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("A Cat, wearing (sunglasses:1.2)", "a-cat-wearing-sunglasses-1-2"),
        ("../../etc/passwd", "etc-passwd"),
        ("CON", "con"),
        ("Café\x00\n", "cafe"),
        ("猫", "picture"),
        ("", "picture"),
        ("a" * 300, "a" * 60),
    ],
)
def test_a_file_name_derives_safely_from_the_prompt(prompt, expected):
    assert slug(prompt) == expected


def test_an_unused_name_counts_on(tmp_path):
    assert unused(tmp_path, "a").name == "a.png"
    (tmp_path / "a.png").touch()
    (tmp_path / "a_2.png").touch()
    assert unused(tmp_path, "a").name == "a_3.png"


def test_batches_keep_the_order():
    jobs = [Task("a", n) for n in range(5)]
    assert [list(b) for b in batches(jobs, 2)] == [jobs[:2], jobs[2:4], jobs[4:]]
