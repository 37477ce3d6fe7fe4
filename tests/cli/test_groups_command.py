"""The groups command: one prompt, many prompts, JSON, mistakes."""

from __future__ import annotations

import argparse
import io
import json

import pytest

from tome_ext.cli.groups import add_groups_command


@pytest.fixture
def groups(monkeypatch, capsys):
    def call(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        parser = argparse.ArgumentParser()
        add_groups_command(parser.add_subparsers())
        args = parser.parse_args(["groups", *arguments])
        code = args.run(args)
        return (code, *capsys.readouterr())

    return call


def test_json_has_spans_in_characters_of_the_text(groups):
    text = "日本 a (red:1.2) cat"
    code, out, _ = groups("--json", "--parser", "builtin", text)
    said = json.loads(out)
    assert code == 0
    assert said["text"] == text
    assert said["parser"] == "builtin"
    assert said["clean"] == "日本 a cat"
    (group,) = said["groups"]
    assert text[group["noun"]["start"] : group["noun"]["end"]] == group["noun"]["text"] == "cat"
    assert group["related"] == [{"text": "red", "start": 6, "end": 9}]
    assert group["phrase"] == "a red cat"
    assert said["warnings"] == []


def test_one_line_of_standard_input_is_one_prompt(groups):
    lines = [json.dumps(t) for t in ("a red cat", "a\nblue dog", "", "portrait")]
    code, out, _ = groups("--stdin", "--json", stdin="\n".join(lines) + "\n\n")
    assert code == 0
    said = [json.loads(line) for line in out.splitlines()]
    assert [(s["text"], [g["noun"]["text"] for g in s["groups"]]) for s in said] == [
        ("a red cat", ["cat"]),
        ("a\nblue dog", ["dog"]),
        ("", []),
        ("portrait", []),
    ]


def test_groups_by_hand(groups):
    _, out, _ = groups("--json", "--groups", 'dog + 1.5*hat - "collar"', "--clean", "x", "a dog with a hat")
    said = json.loads(out)
    assert said["groups"][0]["extra"] == [
        {"text": "hat", "weight": 1.5, "start": 13, "end": 16},
        {"text": "collar", "weight": -1.0},
    ]
    assert said["clean"] == "x"


def test_text_and_html(groups):
    assert "cat: red" in groups("a red cat")[1]
    assert "tome-preview" in groups("--html", "a red cat")[1]


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        ([], "", "give a prompt, or --stdin"),
        (["--stdin", "a cat"], "", "give a prompt, or --stdin"),
        (["--groups", "cat", "a cat"], "", "expected ':'"),
        (["--stdin"], '"a cat"\nred\n', "line 2, column 1"),
        (["--stdin"], "[1]\n", "line 1: expected a JSON string"),
    ],
)
def test_mistakes_are_explained(groups, arguments, stdin, message):
    code, _, errors = groups(*arguments, stdin=stdin)
    assert code == 2
    assert message in errors
