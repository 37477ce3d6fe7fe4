from __future__ import annotations

import json

import pytest

from tome_ext.hosts.webui.ui.api import RequestError, answer_groups, answer_settings, problem
from tome_ext.hosts.webui.ui.options import TITLE, Options, arguments
from tome_ext.settings import PRESETS, preset


def request(args, title=TITLE):
    return {"prompt": "a cat", "alwayson_scripts": {"Other": {"args": [1]}, title: {"args": args}}}


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"alwayson_scripts": None},
        {"alwayson_scripts": {"Other": {"args": "wrong, but not ours"}}},
        request([]),
        request([True, "paper"]),
        request([True, {"preset": "paper", "iterations": 1}]),
        request(Options(True, preset("reference")).to_args()),
    ],
)
def test_a_request_that_is_right_or_none_of_our_business_passes(body):
    assert problem(body) == ""


@pytest.mark.parametrize("title", [TITLE, TITLE.lower(), TITLE.upper()])
def test_a_wrong_value_is_named_with_its_range(title):
    assert problem(request([True, {"iterations": 99}], title)) == "iterations = 99: must be a whole number from 0 to 20"


def test_arguments_that_are_no_list_are_refused_with_an_example():
    assert "args must be a list: [true, " in problem(request({"enabled": True}))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_with_the_host_s_own_defaults_behind_it_is_that_preset(name):
    """The WebUI fills what a request leaves out; other programs send that list on."""
    args = [s.default for s in arguments()]
    args[:2] = [True, name]
    assert problem(request(args)) == ""
    assert Options.from_args(args) == Options(True, preset(name))


def test_groups_are_read_for_every_prompt_and_every_part_of_it():
    answer = answer_groups({"prompts": ["a red cat AND a blue dog", "a cat"], "parser": "builtin"})
    assert json.loads(json.dumps(answer)) == answer
    first, second = answer["prompts"]
    assert [text["groups"][0]["phrase"] for text in first["texts"]] == ["a red cat", "a blue dog"]
    assert [text["clean"] for text in first["texts"]] == ["a cat", "a dog"]
    assert second["texts"][0]["groups"] == []


def test_groups_by_hand_and_a_clean_prompt_are_taken():
    (prompt,) = answer_groups({"prompts": ["cat hat"], "groups": "cat: hat", "clean_prompt": "one cat"})["prompts"]
    assert prompt["texts"][0]["clean"] == "one cat"
    assert prompt["texts"][0]["groups"][0]["related"][0]["text"] == "hat"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], "the body must be an object"),
        ({"promts": []}, "unknown field 'promts'"),
        ({}, "prompts must be a list of texts"),
        ({"prompts": [1]}, "prompts must be a list of texts"),
        ({"prompts": ["x"] * 101}, "prompts: at most 100"),
        ({"prompts": ["x" * 20_001]}, "of at most 20000 characters"),
        ({"prompts": [], "groups": 1}, "groups must be text"),
        ({"prompts": [], "parser": "other"}, "parser = 'other': must be one of auto, spacy, builtin"),
        ({"prompts": ["a cat"], "groups": "cat::"}, r"groups: expected .* \(character 5\)"),
    ],
)
def test_a_wrong_request_for_groups_is_refused_by_field(body, says):
    with pytest.raises(RequestError, match=says):
        answer_groups(body)


def test_the_settings_list_every_argument_in_its_order_with_its_schema():
    answer = answer_settings()
    assert answer["arguments"] == [s.name for s in arguments()]
    assert list(answer["schema"]["properties"]) == answer["arguments"]
    assert answer["schema"]["properties"]["iterations"]["maximum"] == 20
    assert answer["presets"]["paper"]["iterations"] == 4
    json.dumps(answer)
