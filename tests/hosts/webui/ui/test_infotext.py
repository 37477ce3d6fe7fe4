from __future__ import annotations

import dataclasses
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hosts.webui.ui.standins import infotext_line, parse_infotext_line
from tests.hosts.webui.ui.test_options import mappings
from tome_ext.hosts.webui.ui.infotext import KEY, entries, parser_used, read, reader, written
from tome_ext.hosts.webui.ui.options import Options, arguments
from tome_ext.prompts.spacy_parser import load as spacy_parser
from tome_ext.settings import PRESETS, Settings, preset

# What people type, and what the WebUI's own syntax makes of it.
texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]) | st.sampled_from('",:\n\\x1;#'), max_size=40
)


def repeated(options):
    """The options, with the parser that ``auto`` stands for here."""
    found = options.settings.replace(parser=parser_used(options.settings.parser))
    return dataclasses.replace(options, settings=found)


def through(options):
    return parse_infotext_line(infotext_line(entries(options)))


@given(mappings())
def test_everything_needed_to_repeat_the_image_is_read_back(values):
    options = Options.from_args([True, {**values, "enabled": True}])
    assert read(through(options)) == repeated(options)


@given(texts, texts)
def test_any_text_is_read_back(groups, clean):
    options = Options(True, Settings(groups=groups.strip(), clean_prompt=clean.strip()))
    assert read(through(options)) == repeated(options)


def test_it_is_short_and_readable():
    options = Options(True, preset("paper").replace(iterations=7, groups="cat: hat; dog: blue", parser="builtin"))
    line = infotext_line({k: v for k, v in entries(options).items() if "version" not in k})
    assert 'ToMe: paper, ToMe changes: iterations=7, ToMe groups: "cat: hat; dog: blue", ToMe parser: builtin' in line


def test_an_image_made_without_tome_switches_it_off_and_leaves_the_rest():
    params = parse_infotext_line(infotext_line({"Token merging ratio": 0.5}))
    assert read(params) == Options()
    assert {s.name: reader(s.name)(params) for s in arguments()} == {
        **{s.name: None for s in arguments()},
        "enabled": False,
    }


@given(mappings())
def test_the_readers_of_the_controls_agree_with_the_arguments(values):
    options = Options.from_args([True, {**values, "enabled": True}])
    params = through(options)
    assert [reader(s.name)(params) for s in arguments()] == repeated(options).to_args()


def test_a_reader_is_one_function_per_control_so_that_send_to_finds_it_in_both_tabs():
    assert reader("groups") is reader("groups")


@pytest.mark.parametrize(
    "params",
    [
        {KEY: "balanced", "ToMe changes": "iterations=99, magic=1, noun_weight=x, =, ets, hires=maybe"},
        {KEY: "paper", "ToMe changes": "window_start=1", "ToMe parser": "__import__"},
        {KEY: "paper", "ToMe layers-1": "3"},
    ],
)
def test_an_infotext_from_anyone_gives_valid_options(params):
    found = read(params)
    assert found.enabled
    assert Options.from_args(found.to_args()) == found


def test_spacy_is_named_with_its_model(monkeypatch):
    nlp = types.SimpleNamespace(meta={"lang": "en", "name": "core_web_sm", "version": "3.7.1"})
    monkeypatch.setattr(spacy_parser, "_loaded", [(nlp, "")])
    for parser in ("auto", "spacy"):
        params = through(Options(True, Settings(parser=parser)))
        assert params["ToMe parser"] == "spacy en_core_web_sm 3.7.1"
        assert read(params).settings.parser == "spacy"


def test_without_spacy_the_parser_that_really_read_the_prompt_is_named(monkeypatch):
    monkeypatch.setattr(spacy_parser, "_loaded", [(None, "not installed")])
    for parser in ("auto", "spacy", "builtin"):
        params = through(Options(True, Settings(parser=parser)))
        assert params["ToMe parser"] == "builtin"
        assert read(params).settings.parser == "builtin"


@pytest.mark.parametrize("preset_name", ["off", "of tomorrow", "", "BALANCED"])
def test_off_or_an_unknown_preset_does_not_switch_tome_on(preset_name):
    params = {KEY: preset_name, "ToMe changes": "iterations=2"}
    assert read(params) == Options()
    assert {s.name: reader(s.name)(params) for s in arguments()} == {
        **{s.name: None for s in arguments()},
        "enabled": False,
    }


def test_a_change_of_the_default_preset_names_the_default_preset():
    params = through(Options(True, Settings(iterations=2)))
    assert (params[KEY], params["ToMe changes"]) == ("balanced", "iterations=2")


def test_a_failure_is_left_out_when_reading():
    options = Options(True, preset("paper"))
    made = written({"Of others": 1, "ToMe groups": "of the cell before"}, entries(options), "out of luck")
    assert [key for key in made if "groups" in key] == []
    assert made["ToMe failure"] == "out of luck"
    params = parse_infotext_line(infotext_line(made))
    assert read(params) == repeated(options)
    alone = parse_infotext_line(infotext_line(written(params, {}, "out of luck")))
    assert read(alone) == Options()
    assert reader("enabled")(alone) is False


@given(
    st.dictionaries(
        st.sampled_from([KEY, "ToMe changes", "ToMe groups", "ToMe parser", "ToMe layers"]),
        st.text() | st.sampled_from(list(PRESETS)),
    )
)
def test_no_infotext_makes_reading_fail(params):
    assert read(params).enabled == (params.get(KEY) in PRESETS)
