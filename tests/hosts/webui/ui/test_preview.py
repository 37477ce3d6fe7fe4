from __future__ import annotations

import re

import pytest


@pytest.fixture
def preview(host):
    from tome_ext.hosts.webui.ui.preview import preview as found

    return found


def tags(html):
    return set(re.findall(r"<([a-z]+)", html))


def test_words_are_coloured_by_object_and_the_clean_prompt_is_shown(preview):
    html = preview("a cat wearing sunglasses and a dog wearing a hat", [], "", "builtin", "")
    assert len(set(re.findall(r'tome-noun" style="background:hsla\((\d+)', html))) == 2
    assert "a cat and a dog" in html


@pytest.mark.parametrize(
    "evil", ["<img src=x onerror=alert(1)>", '"><script>alert(1)</script>', "a red <b onclick='x'>cat</b>"]
)
@pytest.mark.parametrize("place", ["prompt", "groups", "clean"])
def test_what_the_user_types_never_becomes_html(preview, evil, place):
    typed = {"prompt": "a red cat", "groups": "", "clean": "", place: evil}
    html = preview(typed["prompt"], [], typed["groups"], "builtin", typed["clean"])
    assert tags(html) <= {"div", "p", "span", "ul", "li", "b", "details", "summary", "pre"}
    assert "onclick=" not in "".join(re.findall(r"<[^>]*>", html))
    assert "<b onclick" not in html


def test_a_mistake_in_the_groups_is_shown_where_it_is(preview):
    assert "expected" in preview("a cat", [], "cat::", "builtin", "")


def test_every_text_of_a_prompt_with_and_or_editing_is_shown(preview):
    html = preview("a red cat AND a [blue:green:0.5] dog", [], "", "builtin", "")
    assert "3 texts" in html
    assert html.count('class="tome-preview"') == 3


def test_an_empty_prompt_gets_a_hint(preview):
    assert "Type a prompt first" in preview("  ", [], "", "builtin", "")
