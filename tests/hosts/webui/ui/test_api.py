from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
        {"alwayson_scripts": {"Other": None, "Another": [True]}},
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


@pytest.mark.parametrize("args", [{"enabled": True}, "paper", None, True, 1])
def test_arguments_that_are_no_list_are_refused_with_an_example(args):
    assert problem(request(args)).startswith('args must be a list: {"args": [true, {"preset": "paper"')


@pytest.mark.parametrize("entry", [{}, {"enabled": True}, [True], [], None, True, "paper"])
def test_an_entry_without_arguments_is_refused_with_an_example(entry):
    wrong = problem({"alwayson_scripts": {TITLE: entry}})
    assert wrong.startswith('must be an object with a list of arguments, such as {"args": [true, ')


HUGE = "x" * 3_000_000


@pytest.mark.parametrize(
    "args",
    [
        [HUGE],
        [True, HUGE],
        [True, [HUGE]],
        [True, {HUGE: 1}],
        [True, {"groups": HUGE}],
        [True, {"groups": "cat " * 4999}],
        [True, {"iterations": [[1] * 1000] * 1000}],
        [True] * 1_000_000,
    ],
)
def test_an_answer_never_repeats_megabytes(args):
    assert 0 < len(problem(request(args))) < 500


@pytest.mark.parametrize("name", ["groups", "clean_prompt", "layers"])
def test_half_a_character_is_refused_by_name(name):
    wrong = problem(request([True, {name: "cat: \ud800"}]))
    assert wrong == f"{name}: character 6 is not valid Unicode; the text must be UTF-8"
    wrong.encode()


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
        ({"prompts": ["x" * 20_000] * 6}, "at most 100000 characters together"),
        ({"prompts": ["a cat", "a red \ud800 cat"]}, r"prompts\[1\]: character 7 is not valid Unicode"),
        ({"prompts": [], "groups": "\udfff"}, "groups: character 1 is not valid Unicode"),
        ({"prompts": [], "clean_prompt": "x" * 20_001}, "clean_prompt must be text of at most 20000"),
        ({"prompts": [], HUGE: 1}, r"unknown field 'xxx.*\(3000000 characters\); the fields are prompts, groups"),
        ({"prompts": [], "parser": [HUGE]}, r"parser = \['xxx.*must be one of"),
        ({"prompts": ["a"], "groups": "a" * 20_000}, "groups: expected ':'"),
        ({"prompts": [], "groups": 1}, "groups must be text"),
        ({"prompts": [], "parser": "other"}, "parser = 'other': must be one of auto, spacy, builtin"),
        ({"prompts": ["a cat"], "groups": "cat::"}, r"groups: expected .* \(character 5\)"),
    ],
)
def test_a_wrong_request_for_groups_is_refused_by_field(body, says):
    with pytest.raises(RequestError, match=says) as caught:
        answer_groups(body)
    assert len(str(caught.value)) < 600
    str(caught.value).encode()


def test_the_settings_list_every_argument_in_its_order_with_its_schema():
    answer = answer_settings()
    assert answer["arguments"] == [s.name for s in arguments()]
    assert list(answer["schema"]["properties"]) == answer["arguments"]
    assert answer["schema"]["properties"]["iterations"]["maximum"] == 20
    assert answer["presets"]["paper"]["iterations"] == 4
    json.dumps(answer)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from([s.name for s in arguments()]) | st.text(max_size=9)
ours = st.lists(anything | st.dictionaries(names, anything, max_size=4) | st.sampled_from([*PRESETS]), max_size=6)


@settings(max_examples=60)
@given(ours | anything, st.booleans())
def test_no_arguments_make_the_check_fail(args, wrapped):
    body = request(args) if wrapped else {"alwayson_scripts": {TITLE: args}}
    wrong = problem(body)
    wrong.encode()
    if not wrong:
        Options.from_args(args)


@settings(max_examples=60)
@given(anything | st.dictionaries(st.sampled_from(["prompts", "groups", "clean_prompt", "parser"]), anything))
def test_no_request_for_groups_makes_the_answer_fail(body):
    try:
        json.dumps(answer_groups(body)).encode()
    except RequestError as error:
        str(error).encode()
