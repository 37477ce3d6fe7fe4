from __future__ import annotations

import subprocess
import sys

import pytest

from tome_ext.cli import build_parser, main
from tome_ext.cli.flags import flag_of, settings_from
from tome_ext.settings import Settings, declarations, preset


def parsed(*words: str) -> Settings:
    return settings_from(build_parser().parse(["generate", "a cat", *words]))


def other_value(setting):
    """A valid value that is not the default."""
    if setting.kind == "bool":
        return not setting.default
    if setting.kind == "choice":
        return next(c for c in setting.choices if c != setting.default)
    if setting.kind == "text":
        return "middle: red" if setting.name == "groups" else "middle"
    return setting.maximum if setting.name != "window_start" else 0.1


@pytest.mark.parametrize("setting", list(declarations()), ids=lambda s: s.name)
def test_every_setting_has_a_flag_that_sets_it(setting):
    value = other_value(setting)
    flag = flag_of(setting)
    if setting.kind == "bool":
        words = [flag if value else flag.replace("--", "--no-", 1)]
    else:
        words = [flag, setting.format(value)]
    assert parsed(*words) == Settings().replace(**{setting.name: value})


def test_without_flags_the_settings_are_the_default_preset():
    assert parsed() == preset("balanced")


def test_single_flags_change_the_preset_whatever_their_order():
    wanted = preset("reference").replace(noun_weight=-2.0)
    assert parsed("--noun-weight", "-2", "--preset", "reference") == wanted
    assert parsed("--preset", "reference", "--noun-weight=-2") == wanted


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--noun-weight", "9"], "noun_weight = '9': must be a number from -4 to 4"),
        (["--members", "glue"], "members = 'glue': must be one of close, zero"),
        (["--preset", "fats"], "did you mean 'fast'?"),
        (["--noun-wieght", "1"], "there is no --noun-wieght; did you mean --noun-weight?"),
        (["--stes=3"], "there is no --stes=3; did you mean --steps?"),
        (["--steps", "many"], "argument --steps: invalid int value: 'many'"),
        (["--window-start", "0.9"], "window_start = 0.9: must not be greater than window_stop = 0.2"),
        (["--noun", "1"], "there is no --noun"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_status_2(capsys, words, message):
    assert main(["generate", "a cat", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith("tome_ext: error: ")
    assert message in shown.err


def test_no_command_shows_the_help_and_fails(capsys):
    assert main([]) == 2
    assert "generate" in capsys.readouterr().err


def test_help_names_every_setting_with_its_range_and_default(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["generate", "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for setting in declarations():
        assert flag_of(setting) in text
    assert "(default: 1; a number from -4 to 4)" in text


def test_the_parser_loads_no_heavy_library():
    code = (
        "import sys; from tome_ext.cli import build_parser; build_parser().format_help(); "
        "print(*{'torch', 'numpy', 'PIL', 'diffusers', 'transformers', 'spacy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
