"""One dialect: what the command line writes into a picture, the WebUI reads back exactly, and the other way round."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.hosts.webui.ui.standins import infotext_line, parse_infotext_line
from tome_ext.cli.recipe import Recipe, save_png
from tome_ext.hosts.common.infotext import (
    Infotext,
    entries,
    format_infotext,
    parse_infotext,
    parser_used,
    read,
    used,
    written,
)
from tome_ext.hosts.webui.ui.infotext import entries as webui_entries
from tome_ext.hosts.webui.ui.infotext import read as webui_read
from tome_ext.hosts.webui.ui.infotext import reader
from tome_ext.hosts.webui.ui.options import Options
from tome_ext.settings import Settings, declarations

FUZZ = settings(max_examples=60)
# What people type, with what the WebUI's own syntax gives a meaning to.
texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]) | st.sampled_from('",:\n\\x1;#='), max_size=40
).map(str.strip)


def value_of(setting) -> st.SearchStrategy:
    if setting.kind == "bool":
        return st.booleans()
    if setting.kind == "choice":
        return st.sampled_from(setting.choices)
    if setting.kind == "text":
        return texts.filter(bool) | st.just(setting.default)
    if setting.kind == "int":
        return st.integers(int(setting.minimum), int(setting.maximum))
    return st.floats(setting.minimum, setting.maximum)


some_settings = (
    st.fixed_dictionaries({}, optional={s.name: value_of(s) for s in declarations()})
    .filter(lambda values: values.get("window_start", 0.0) <= values.get("window_stop", 0.2))
    .map(lambda values: Settings(**values))
)


def png(recipe) -> str:
    """The infotext of a picture that the command line has saved, as the WebUI finds it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        save_png(Image.new("RGB", (8, 8)), path, recipe)
        with Image.open(path) as image:
            return image.info["parameters"]


def with_parser_used(found: Settings) -> Settings:
    return found.replace(parser=parser_used(found.parser))


@FUZZ
@given(some_settings, texts)
def test_the_webui_reads_back_what_the_command_line_wrote(asked, prompt):
    text = png(Recipe(f"a cat {prompt}", seed=1, settings=asked))
    params = parse_infotext_line(text.rpartition("\n")[2])
    assert webui_read(params) == Options(True, with_parser_used(asked))
    assert (params["Steps"], params["CFG scale"], params["Seed"]) == ("30", "7", "1")


@FUZZ
@given(some_settings, st.sampled_from(["merge", "off"]), st.booleans())
def test_the_command_line_reads_back_what_the_webui_wrote(asked, hires, show_maps):
    line = infotext_line(
        {"CFG scale": 7, "Seed": 1, "Size": "8x8", **webui_entries(Options(True, asked, hires, show_maps))}
    )
    recipe = Recipe.from_infotext(parse_infotext(f"a cat\n{line}"))
    assert recipe.settings == with_parser_used(asked)
    assert recipe.method == "tome"


@FUZZ
@given(some_settings)
def test_from_picture_to_webui_and_back_nothing_changes(asked):
    first = parse_infotext_line(png(Recipe("a cat", seed=1, settings=asked)).rpartition("\n")[2])
    again = parse_infotext_line(infotext_line(webui_entries(webui_read(first))))
    assert {k: v for k, v in first.items() if k.startswith("ToMe")} == {
        k: v for k, v in again.items() if k.startswith("ToMe")
    }


def test_a_plain_picture_does_not_switch_tome_on():
    params = parse_infotext_line(png(Recipe("a cat", seed=1, method="plain")).rpartition("\n")[2])
    assert reader("enabled")(params) is False
    assert not used(params)
    assert read({**params, "ToMe": "off"}) is None  # as pictures of older versions say


@FUZZ
@given(st.dictionaries(st.from_regex(r"\w[\w \-/]{1,8}", fullmatch=True), texts, min_size=3), texts, texts)
def test_our_reader_and_the_webuis_agree(found, prompt, negative):
    found = {name: text for name, text in found.items() if text and not text.startswith('"')}
    text = format_infotext(Infotext(prompt, negative, {"Steps": "1", "Seed": "2", "CFG scale": "3", **found}))
    parsed = parse_infotext(text)
    assert dict(parsed.entries) == {"Steps": "1", "Seed": "2", "CFG scale": "3", **found}


@pytest.mark.parametrize(
    ("text", "prompt", "negative", "names"),
    [
        ("", "", "", []),
        ("a cat", "a cat", "", []),
        ("a cat\nSteps: 1, Seed: 2", "a cat\nSteps: 1, Seed: 2", "", []),
        ("a cat\n two\nNegative prompt: x\ny\nA b: 1, C d: 2, E f: 3", "a cat\ntwo", "x\ny", ["A b", "C d", "E f"]),
    ],
)
def test_an_infotext_is_taken_apart_as_the_webui_does(text, prompt, negative, names):
    found = parse_infotext(text)
    assert (found.prompt, found.negative, list(found.entries)) == (prompt, negative, names)


@FUZZ
@given(st.text(max_size=200))
def test_no_text_makes_reading_fail(text):
    found = parse_infotext(text)
    read(found.entries)
    read(parse_infotext(f"{text}\nSteps: 1, ToMe: paper, ToMe changes: {text}, Size: {text}").entries)


def test_entries_of_others_stay_and_ours_are_replaced():
    made = written({"Steps": 1, "ToMe groups": "old"}, entries(Settings(), "builtin"), "out of memory")
    assert made["Steps"] == 1
    assert "ToMe groups" not in made
    assert made["ToMe failure"] == "out of memory"


def test_it_needs_neither_torch_nor_a_webui():
    code = "import sys, tome_ext.hosts.common.infotext; print('torch' in sys.modules, 'modules' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]
