from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tome_ext import __version__
from tome_ext.cli.console import CommandError
from tome_ext.cli.recipe import CHUNK, METHODS, SCHEDULERS, Recipe, read_recipe, save_png
from tome_ext.hosts.common.infotext import format_infotext, parse_infotext
from tome_ext.settings import SettingError, preset

recipes = st.builds(
    Recipe,
    prompt=st.text(max_size=80),
    seed=st.integers(0, 2**63 - 1),
    negative=st.none() | st.text(max_size=20),
    steps=st.integers(1, 1000),
    width=st.integers(0, 1024).map(lambda n: 8 * n),
    height=st.integers(0, 1024).map(lambda n: 8 * n),
    guidance=st.floats(0, 100),
    scheduler=st.sampled_from(list(SCHEDULERS)),
    model=st.text(max_size=20),
    method=st.sampled_from(METHODS),
    count=st.integers(1, 1000),
    maps=st.booleans(),
    settings=st.sampled_from(["fast", "reference"]).map(preset),
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)


def with_chunk(path, text: str):
    info = PngInfo()
    info.add_text(CHUNK, text)
    Image.new("RGB", (4, 4)).save(path, pnginfo=info)
    return path


@given(recipes)
def test_a_recipe_survives_json(recipe):
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@pytest.mark.parametrize("prompt", ["a cat", 'say "cat"\n and <b>dog</b>', "ein Hündchen 🐶", ""])
def test_a_png_carries_its_recipe(tmp_path, prompt):
    recipe = Recipe(prompt, seed=3, negative="blur", width=64, height=32, settings=preset("paper").replace(ets="off"))
    save_png(Image.new("RGB", (64, 32)), tmp_path / "a.png", recipe)
    assert read_recipe(tmp_path / "a.png") == recipe
    with Image.open(tmp_path / "a.png") as image:
        assert image.info[CHUNK].isascii()
        assert parse_infotext(image.info["parameters"]).prompt.split() == prompt.split()


def test_the_infotext_is_the_webuis(monkeypatch):
    recipe = Recipe("a cat", seed=3, negative="blur", width=64, height=32, model="m, 1", settings=preset("fast"))
    recipe = recipe.replace(settings=recipe.settings.replace(groups="cat: hat, big", noun_weight=1.1, parser="builtin"))
    assert format_infotext(recipe.replace(scheduler="euler-a").infotext()) == (
        'a cat\nNegative prompt: blur\nSteps: 30, Sampler: Euler a, CFG scale: 7, Seed: 3, Size: 64x32, Model: "m, 1", '
        'ToMe: fast, ToMe changes: noun_weight=1.1, ToMe groups: "cat: hat, big", ToMe parser: builtin, '
        f"ToMe version: {__version__}"
    )
    assert "ToMe" not in format_infotext(recipe.replace(method="plain").infotext())
    assert recipe.infotext("spacy", "no memory").entries["ToMe failure"] == "no memory"


def test_a_picture_of_the_webui_can_be_repeated(tmp_path, capsys):
    info = PngInfo()
    info.add_text(
        "parameters",
        "a red cat\nNegative prompt: blur\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 5.5, "
        'Seed: 7, Size: 512x768, Model: some, ToMe: paper, ToMe changes: "iterations=2, hires=off", '
        'ToMe groups: "cat: red", '
        "ToMe parser: builtin, Version: v1.10.1",
    )
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", pnginfo=info)
    settings = preset("paper").replace(iterations=2, groups="cat: red", parser="builtin")
    assert read_recipe(tmp_path / "a.png") == Recipe(
        "a red cat", 7, "blur", 20, 512, 768, 5.5, "dpmpp-2m", "some", settings=settings
    )
    assert capsys.readouterr().err == ""


def test_an_unknown_sampler_of_the_webui_is_named(tmp_path, capsys):
    text = "a cat\nSteps: 20, Sampler: Restart, CFG scale: 5, Seed: 7, Size: 512x512"
    recipe = Recipe.from_infotext(parse_infotext(text))
    assert (recipe.scheduler, recipe.method) == ("model", "plain")
    assert "the sampler 'Restart' is not known here" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["", "a cat", "a cat\nSteps: x, Seed: 1, CFG scale: 1", "a\nSteps: 1, Size: 8, Seed: 1"]
)
def test_an_incomplete_infotext_is_refused(tmp_path, text):
    info = PngInfo()
    info.add_text("parameters", text)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(CommandError, match=r"a\.png is not valid: its infotext is incomplete"):
        read_recipe(tmp_path / "a.png")


@pytest.mark.parametrize("field", ["prompt", "negative", "model", "groups", "clean_prompt"])
def test_text_that_is_not_unicode_is_refused_by_name(field):
    """What arrives when a command line is not UTF-8, or when metadata hold half a character."""
    values = Recipe("a", 1).to_json()
    where = values if field in values else values["settings"]
    where[field] = "a red \udcff cat"
    with pytest.raises(SettingError, match=f"{field}: character 7 is not valid Unicode"):
        Recipe.from_json(values)


@pytest.mark.parametrize("length", [10, 10_000])
def test_a_picture_that_cannot_be_written_whole_leaves_nothing(tmp_path, length):
    resource = pytest.importorskip("resource")
    image = Image.effect_noise((256, 256), 100)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, hard))
    try:
        with pytest.raises(OSError):
            save_png(image, tmp_path / "a.png", Recipe("a", 1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("seed", -1, "a whole number from 0"),
        ("seed", 1.5, "a whole number from 0"),
        ("seed", True, "a whole number from 0"),
        ("steps", 0, "from 1 to 1000"),
        ("steps", 10**400, "from 1 to 1000"),
        ("guidance", float("nan"), "a number from 0 to 100"),
        ("width", 100, "a multiple of 8"),
        ("height", 10**6, "from 0 to 8192"),
        ("count", "2", "from 1 to 1000"),
        ("prompt", None, "text of at most"),
        ("prompt", "x" * 20_001, "text of at most"),
        ("negative", 3, "text of at most"),
        ("scheduler", "../x", "one of model, ddim"),
        ("method", "magic", "one of tome, plain, compare"),
        ("maps", 1, "true or false"),
    ],
)
def test_an_invalid_field_is_refused_with_its_name_and_range(field, value, allowed):
    values = {**Recipe("a", 1).to_json(), field: value}
    with pytest.raises(CommandError, match=f"^{field} = .*{allowed}"):
        Recipe.from_json(values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__import__('os').abort()", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1, 2]", "not a JSON object"),
        ("{}", "incomplete"),
        (" " * 200_001, "longer than"),
        ('{"prompt": "a", "seed": 1, "settings": {"self": 1}}', "no setting is called 'self'"),
        ('{"prompt": "a", "seed": 1, "settings": {"noun_weight": 1e999}}', "noun_weight = inf"),
        ('{"prompt": "a", "seed": 1, "settings": []}', "incomplete"),
    ],
)
def test_bad_metadata_is_refused_with_the_reason(tmp_path, text, message):
    with pytest.raises(CommandError, match=message):
        read_recipe(with_chunk(tmp_path / "bad.png", text))


@given(st.dictionaries(st.sampled_from(list(Recipe("", 0).to_json())), anything))
def test_metadata_from_anyone_gives_a_recipe_or_an_error(values):
    try:
        recipe = Recipe.from_json(values)
    except (CommandError, SettingError):
        return
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_a_picture_without_our_metadata_is_refused(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(CommandError, match="carries no settings"):
        read_recipe(tmp_path / "a.png")


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_a_file_that_is_no_png_is_refused(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(CommandError, match="cannot be read as a PNG"):
        read_recipe(tmp_path / "a.png")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        read_recipe(tmp_path / "none.png")


@settings(max_examples=60)
@given(st.data())
def test_a_picture_damaged_in_any_way_gives_a_recipe_or_an_error(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        save_png(Image.new("RGB", (4, 4)), path, Recipe("a cat", 1))
        whole = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 8))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
        with contextlib.suppress(CommandError, SettingError):
            read_recipe(path)


@settings(max_examples=60)
@given(st.text(max_size=200), st.booleans())
def test_text_from_anyone_gives_a_recipe_or_an_error(text, ours):
    with tempfile.TemporaryDirectory() as folder:
        info = PngInfo()
        info.add_text(CHUNK if ours else "parameters", text)
        Image.new("RGB", (4, 4)).save(Path(folder) / "a.png", pnginfo=info)
        with contextlib.suppress(CommandError, SettingError):
            read_recipe(Path(folder) / "a.png")
