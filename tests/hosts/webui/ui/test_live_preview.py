"""The live preview on the page of a real WebUI: WEBUI_DIR (see tests/hosts/running.py), Playwright, Chromium."""

from __future__ import annotations

import time

import pytest

from tests.hosts.running import EXTENSION

pytestmark = pytest.mark.webui


def typed(page, text):
    page.page.locator(f"#{page.tab}_prompt textarea").press_sequentially(text)


def test_the_words_take_their_colours_while_one_types(open_page):
    page = open_page()
    page.enable()
    typed(page, "a red cat and")
    page.shown("with a single object", "cat: red")
    typed(page, " a blue dog")
    page.shown("cat: red", "dog: blue")
    page.says("objects: 2")
    page.shot("typing", page.control("enabled"))


def test_what_is_shown_is_never_about_another_prompt(open_page):
    page = open_page()
    page.enable()
    page.prompt("a red cat and a tall tree")
    page.shown("cat: red")
    page.prompt("a blue dog and a green bird")
    page.page.wait_for_function(
        "() => [...document.querySelectorAll('[id=script_txt2img_tome_semantic_binding_preview_result]')]"
        ".some(e => e.classList.contains('tome-stale') || e.innerText.includes('dog: blue'))"
    )
    page.shown("dog: blue")


def test_why_nothing_is_bound_is_said_with_what_to_do(open_page):
    page = open_page()
    page.enable()
    page.prompt("a cat and a dog")
    page.shown("Nothing to bind", "cat: hat; dog: scarf")
    page.says("No pass through the network")


def test_words_are_clicked_into_groups_and_out_again(open_page):
    page = open_page()
    page.enable()
    page.prompt("a red cat and a blue dog and a tall tree")
    page.shown("tree: tall")
    page.word("red")
    page.word("dog")
    page.becomes("groups", "cat: -; dog: blue red")
    page.shown("dog: red, blue")
    page.shot("clicked", page.control("enabled"))
    page.word("red")
    page.word("red")
    page.becomes("groups", "cat: -; dog: blue")
    page.page.keyboard.press("Control+z")
    page.becomes("groups", "cat: -; dog: blue red")
    page.control("undo").click()
    page.becomes("groups", "cat: -; dog: blue red")
    page.control("undo").click()
    page.becomes("groups", "")
    page.shown("cat: red", "dog: blue")


def test_equal_objects_are_told_apart(open_page):
    page = open_page()
    page.enable()
    page.prompt("a green bird and a yellow bird")
    page.shown("bird#1: green", "bird#2: yellow")
    page.word("green")
    page.word("bird", 1)
    page.becomes("groups", "bird#1: -; bird#2: yellow green")


def test_the_cost_follows_everything(open_page, webui):
    page = open_page()
    page.enable()
    page.small(steps="20")
    page.prompt("a red cat and a blue dog")
    page.says("steps: 20")
    page.choose("preset", "paper")
    page.says("As the paper describes it")
    page.small(steps="10")
    page.says("steps: 10")
    page.choose("preset", "fast")
    page.says("No pass through the network")


def test_a_number_out_of_range_stops_nothing(open_page):
    page = open_page()
    page.prompt("a red cat and a blue dog")
    page.small()
    page.enable()
    page.unfold()
    page.fill("entropy_weight", "-1")
    page.says("Entropy loss weight = -1")
    assert "ToMe failure" in page.generate()
    page.page.locator("#script_txt2img_tome_semantic_binding_enabled-visible-checkbox").click()
    page.becomes("enabled", False)
    before = time.monotonic()
    page.page.locator("#txt2img_prompt textarea").fill("a red cat and a blue dog, oil painting")
    assert "ToMe: " not in page.generate()
    assert time.monotonic() - before < 120


def test_what_has_no_effect_is_greyed_out(open_page):
    page = open_page()
    page.enable()
    page.unfold()
    page.prompt("a red cat and a blue dog")
    page.choose("preset", "fast")
    page.says("No pass through the network")
    page.page.wait_for_timeout(500)
    assert "tome-idle" in page.control("step_size").get_attribute("class")
    assert "tome-idle" not in page.control("noun_weight").get_attribute("class")


def test_the_page_without_the_live_preview_sends_nothing_while_one_types(open_page, webui):
    webui.ask("/sdapi/v1/options", {"tome_live_preview": False})
    try:
        page = open_page()
        page.enable()
        page.page.wait_for_timeout(1500)
        page.page.posts.clear()
        typed(page, "a purple elephant")
        page.page.wait_for_timeout(2000)
        assert [one for one in page.page.posts if "tome" in one or "Nothing" in one] == []
        assert page.control("preview_result").locator(".tome-preview").count() == 0
        page.control("preview").click()
        page.shown("purple elephant")
        typed(page, " and")
        page.page.wait_for_timeout(1500)
        assert "tome-stale" in page.control("preview_result").get_attribute("class")
    finally:
        webui.ask("/sdapi/v1/options", {"tome_live_preview": True})


def test_the_page_in_another_language(open_page):
    """As the host serves it when it is started in that language."""
    german = (EXTENSION["sd-webui-tome"] / "localizations" / "de_DE.json").read_text(encoding="utf-8")
    page = open_page()
    page.page.add_init_script(
        f"Object.defineProperty(window, 'localization', {{get: () => ({german}), set: () => undefined}})"
    )
    page.page.reload()
    page.page.locator("#txt2img_generate").wait_for(state="visible", timeout=120_000)
    page.page.wait_for_timeout(4000)
    page.enable()
    page.prompt("a red cat and a blue dog")
    page.shown("Bereinigter Prompt:", "cat: red")
    page.says("Geschätzter Rechenaufwand:")
    page.small(steps="10")
    page.generate()
    said = page.page.locator("#txt2img_results").inner_text()
    assert "ToMe verband cat: red; dog: blue (" in said
    assert "von 10 Schritten verfeinert" in said
    page.shot("german")


def test_a_thousand_keystrokes_leave_nothing_behind(open_page):
    page = open_page()
    client = page.page.context.new_cdp_session(page.page)
    client.send("Performance.enable")

    def counted():
        client.send("HeapProfiler.collectGarbage")
        found = {one["name"]: one["value"] for one in client.send("Performance.getMetrics")["metrics"]}
        return found["JSEventListeners"], found["Nodes"], found["JSHeapUsedSize"]

    page.enable()
    typed(page, "a red cat and a blue dog")
    page.shown("cat: red")
    page.page.wait_for_timeout(2000)
    listeners, nodes, heap = counted()
    for _ in range(21):
        page.prompt("")
        typed(page, "a red cat and a blue dog and a green bird wearing ")
    page.prompt("a red cat and a blue dog")
    page.shown("cat: red", "dog: blue")
    page.page.wait_for_timeout(2000)
    listeners_now, nodes_now, heap_now = counted()
    assert listeners_now <= listeners + 20
    assert nodes_now <= nodes + 2000
    assert heap_now <= heap + 3e6
