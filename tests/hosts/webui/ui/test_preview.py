from __future__ import annotations

import html
import json
import re

import pytest

from tome_ext.settings import Settings


@pytest.fixture
def preview(host):
    from tome_ext.hosts.webui.ui.preview import preview as found
    from tome_ext.hosts.webui.ui.preview import with_groups

    def shown(prompt, styles=(), groups="", **values):
        return found(prompt, styles, with_groups(Settings(**{"parser": "builtin", "min_objects": 1, **values}), groups))

    return shown


def tags(shown):
    return set(re.findall(r"<([a-z]+)", shown))


def words(shown):
    """The words of the prompt with their object's number, as the page's script finds them."""
    found = re.findall(r'<span class="tome-word[^>]*data-name="([^"]*)" data-owner="(-?\d+)"', shown)
    return {html.unescape(name): int(owner) for name, owner in found}


def objects(shown):
    found = re.findall(r'<li data-owner="\d+" data-noun="([^"]*)" data-words="([^"]*)"', shown)
    return {html.unescape(noun): json.loads(html.unescape(own)) for noun, own in found}


def test_words_are_coloured_by_object_and_the_clean_prompt_is_shown(preview):
    shown = preview("a cat wearing sunglasses and a dog wearing a hat").html
    assert len(set(re.findall(r"hsla\((\d+)", shown))) == 2
    assert "a cat and a dog" in shown
    assert objects(shown) == {"cat": ["wearing#1", "sunglasses"], "dog": ["wearing#2", "hat"]}
    assert words(shown)["and"] == -1


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ("a red cat and a blue dog", 1),
        ("a red cat AND a blue dog", 2),
        ("a [red:green:0.5] cat", 2),
        ("a [b|c|d] cat", 3),
    ],
)
def test_each_text_that_a_prompt_stands_for_is_shown_and_said_to_be_one_of_several(preview, prompt, texts):
    shown = preview(prompt).html
    assert shown.count('class="tome-preview"') == texts
    assert ("Texts that this prompt stands for" in shown) == (texts > 1)


def test_equal_objects_have_names_that_groups_by_hand_understand(preview):
    shown = preview("a green bird and a yellow bird").html
    assert objects(shown) == {"bird#1": ["green"], "bird#2": ["yellow"]}
    again = preview("a green bird and a yellow bird", groups="bird#1: yellow; bird#2: green").html
    assert objects(again) == {"bird#1": ["yellow"], "bird#2": ["green"]}


@pytest.mark.parametrize(
    "evil", ["<img src=x onerror=alert(1)>", '"><script>alert(1)</script>', "a red <b onclick='x'>cat</b>"]
)
@pytest.mark.parametrize("place", ["prompt", "groups", "clean_prompt"])
def test_what_the_user_types_never_becomes_html(preview, evil, place):
    typed = {"prompt": "a red cat", "groups": "", "clean_prompt": "", place: evil}
    shown = preview(typed["prompt"], groups=typed["groups"], clean_prompt=typed["clean_prompt"]).html
    assert tags(shown) <= {"div", "p", "span", "ul", "li", "b", "i", "code", "details", "summary", "pre"}
    assert "onclick=" not in "".join(re.findall(r"<[^>]*>", re.sub(r'"[^"]*"', "", shown)))
    assert "<b onclick" not in shown


def test_a_tag_in_the_prompt_never_becomes_html(preview):
    shown = preview('a red cat <tome:"><script>alert(1)</script>>').html
    assert "<script" not in shown


def test_a_mistake_in_the_groups_is_shown_where_it_is(preview):
    assert "expected" in preview("a cat", groups="cat::").html


def test_every_text_of_a_prompt_with_and_or_editing_is_shown(preview):
    found = preview("a red cat AND a [blue:green:0.5] dog")
    assert found.html.count('class="tome-preview"') == 3
    assert found.objects == 2


def test_an_empty_prompt_gets_a_hint(preview):
    assert "Type a prompt first" in preview("  ").html
    assert "Type a prompt first" in preview("<tome:paper>").html


def test_why_nothing_is_bound_stands_in_the_open_with_what_to_do(preview):
    found = preview("a cat and a dog")
    assert found.objects == 0
    before_the_folded_part = found.html.partition("<details>")[0]
    assert "Nothing to bind" in before_the_folded_part
    assert "cat: hat; dog: scarf" in before_the_folded_part


@pytest.mark.parametrize(
    ("prompt", "example"),
    [
        ("a red cat", "cat: red"),
        ("a cat wearing sunglasses", "cat: wearing sunglasses"),
        ("a tall cat with a hat", "cat: tall with hat"),
    ],
)
def test_a_single_object_that_is_left_alone_is_said_to_be(preview, prompt, example):
    found = preview(prompt, min_objects=2)
    assert found.objects == 0
    assert "with a single object" in found.html
    assert f"<code>{example}</code>" in found.html
    assert preview(prompt, groups=example, min_objects=2).objects == 1


def test_the_tag_in_the_prompt_counts_over_the_panel(preview):
    found = preview("a red cat and a blue dog <tome:paper; cat: blue; dog: red>", groups="cat: red")
    assert objects(found.html) == {"cat": ["blue"], "dog": ["red"]}
    assert found.settings.iterations == 4
    assert re.search(r"tome-clean\">([^<]*)<", found.html)[1] == "a cat and a dog"
    assert 'data-fixed="1"' in found.html
    off = preview("a red cat <tome:off>")
    assert off.off
    assert "off for this prompt" in off.html
    wrong = preview("a red cat <tome:nonsense>")
    assert "left out" in wrong.html
    assert objects(wrong.html) == {"cat": ["red"]}


def test_what_was_read_stands_beside_it(preview):
    shown = preview('a "red" cat', groups="cat: red").html
    assert html.unescape(re.search(r'data-prompt="([^"]*)"', shown)[1]) == 'a "red" cat'
    assert re.search(r'data-groups="([^"]*)"', shown)[1] == "cat: red"


def test_no_two_answers_are_equal(preview):
    assert preview("a red cat").html != preview("a red cat").html
