"""README.md and docs/API.md, followed: what they tell a user to send and to type is what the extension takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.hosts.webui.ui.standins import parse_infotext_line
from tome_ext.hosts.webui.ui.api import answer_groups, answer_settings, problem
from tome_ext.hosts.webui.ui.infotext import read
from tome_ext.hosts.webui.ui.options import TITLE, Options, arguments
from tome_ext.hosts.webui.ui.tags import asked
from tome_ext.prompts.manual.grammar import parse_groups
from tome_ext.settings import PRESETS, preset

ROOT = Path(__file__).parents[4]
API = (ROOT / "docs" / "API.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", API, re.DOTALL)]


def with_tag(prompt):
    """The options of a prompt with a tag; the panel is off."""
    (found,), _, problems = asked(SimpleNamespace(), [prompt], Options(False))
    assert problems == []
    return found


def spans(pattern, text):
    """The inline code of ``text`` that fits, each once."""
    return list(dict.fromkeys(one for one in re.findall(r"`([^`\n]+)`", text) if re.fullmatch(pattern, one)))


@pytest.mark.parametrize("text", spans(r"\[true.*\]", API))
def test_every_way_to_write_the_arguments_is_taken(text):
    args = json.loads(text)
    assert problem({"alwayson_scripts": {TITLE: {"args": args}}}) == ""
    said = json.loads(text)[1] if len(args) > 1 else {}
    said = {"preset": said} if isinstance(said, str) else said
    expected = preset(said.pop("preset", "balanced")).replace(**said)
    assert Options.from_args(args) == Options(True, expected)


def test_the_request_that_is_shown_passes_and_so_does_the_readme_s():
    assert problem(EXAMPLES[0]) == ""
    (shown,) = re.findall(r'`("alwayson_scripts": .*?)`;', README)
    assert problem(json.loads("{" + shown + "}")) == ""


def test_a_mistake_is_answered_as_shown():
    (shown,) = [one["detail"] for one in EXAMPLES if "detail" in one]
    assert f"{TITLE}: {problem({'alwayson_scripts': {TITLE: {'args': [True, {'iterations': 99}]}}})}" == shown


def test_the_reading_that_is_shown_is_the_one_that_comes():
    (asked,) = [one for one in EXAMPLES if isinstance(one.get("prompts", [{}])[0], str)]
    (shown,) = [one for one in EXAMPLES if isinstance(one.get("prompts", [""])[0], dict)]
    answer = answer_groups({**asked, "parser": "builtin"})
    first, second = answer["prompts"][0]["texts"]
    assert first == shown["prompts"][0]["texts"][0]
    assert second["text"] == "a blue dog"


def test_the_order_of_the_arguments_is_the_documented_one():
    (order,) = re.findall(r"The order is\s+(.*?), then the settings", API, re.DOTALL)
    named = re.findall(r"`(\w+)`", order)
    assert answer_settings()["arguments"][: len(named)] == named
    assert [one.hidden for one in arguments()][-8:] == [False, *[True] * 7]


@pytest.mark.parametrize("tag", spans(r"<tome.*>", API + README))
def test_every_tag_is_understood(tag):
    assert (with_tag(f"a cat and a dog {tag}") is None) == (tag == "<tome:off>")


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("<tome>", Options(True)),
        ("<tome:off>", None),
        ("<tome:paper>", Options(True, preset("paper"))),
        ("<tome:paper:1.5>", Options(True, preset("paper").replace(strength=1.5))),
        ("<tome:paper; every=2; cat*1.3: hat>", Options(True, preset("paper").replace(every=2, groups="cat*1.3: hat"))),
    ],
)
def test_tags_mean_what_the_table_says(tag, expected):
    assert f"`{tag}`" in API
    assert with_tag(f"a cat and a dog {tag}") == expected


@pytest.mark.parametrize("text", spans(r"[a-z][^`]*( [-+:*]|:) .*", README.split("## In ComfyUI")[0]))
def test_every_example_of_groups_is_understood(text):
    assert parse_groups(text)


def test_the_infotext_that_is_shown_is_read_back():
    (line,) = re.findall(r"for example `(ToMe: .*?)`", README.replace("\n", " "))
    expected = preset("paper").replace(iterations=2, groups="cat: hat")
    assert read(parse_infotext_line(line)) == Options(True, expected)


def test_the_presets_of_the_readme_are_those_that_there_are():
    (row,) = re.findall(r"\| \*\*Preset\*\* \|(.*)", README)
    assert set(re.findall(r"`([\w-]+)`", row)) == set(PRESETS)
