"""The preview: whole text, colours in the terminal, escaped HTML."""

from __future__ import annotations

import re

import pytest

from tests.counting import calls
from tome_ext.prompts import read_prompt
from tome_ext.prompts.preview import as_html, as_text

TEXT = 'a (red:1.2) cat & "dog" wearing a <b>hat</b>, best quality, a blue vase'


def test_text_shows_the_prompt_groups_clean_prompt_and_reasons():
    shown = as_text(read_prompt("a red cat, best quality", parser="builtin"), colour=False)
    assert shown.splitlines()[0] == "a red cat, best quality"
    for line in ("  cat: red", "      phrase: a red cat", "  clean: a cat, best quality", "  parser: builtin"):
        assert line in shown.splitlines()
    assert "ignored: best quality (describes the picture" in shown


def test_colours_wrap_the_words_and_change_nothing_else():
    reading = read_prompt(TEXT, parser="builtin")
    coloured = as_text(reading)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == as_text(reading, colour=False)


def test_control_characters_do_not_reach_the_terminal():
    assert "\x1b" not in as_text(read_prompt("a \x1b[31mred\x07 cat", parser="builtin"), colour=False)


def test_html_is_escaped_everywhere():
    reading = read_prompt(TEXT, parser="builtin", manual='cat: red + "<img src=x onerror=alert(1)>"')
    html = as_html(reading)
    assert "<img" not in html
    assert "&lt;img" in html
    assert "<b>hat" not in html
    assert '"dog"' not in html


def test_html_text_is_the_prompt():
    html = as_html(read_prompt(TEXT, parser="builtin"))
    body = re.search(r"<p[^>]*>(.*?)</p>", html, re.DOTALL)
    assert body is not None
    plain = re.sub(r"<[^>]+>", "", body.group(1))
    for entity, char in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        plain = plain.replace(entity, char)
    assert plain == TEXT


@pytest.mark.parametrize("unit", ["a cat with a hat and ", "a red cat, ", "<a:", "best quality, ", "a & b < c "])
def test_the_html_grows_with_the_prompt_and_no_faster(unit):
    sizes = []
    for length in (4_000, 8_000):
        reading = read_prompt((unit * length)[:length], parser="builtin")
        sizes.append((len(as_html(reading)), calls(lambda reading=reading: as_html(reading))))
    (half, few), (whole, many) = sizes
    assert whole < 2.2 * half + 1000
    assert many < 2.2 * few + 1000


def test_html_says_when_nothing_is_found():
    assert "no objects" in as_html(read_prompt("portrait", parser="builtin"))
