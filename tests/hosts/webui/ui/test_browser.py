"""The page of a real WebUI: WEBUI_DIR (see tests/hosts/running.py), Playwright, Chromium."""

from __future__ import annotations

import pytest

from tests.hosts.webui.ui.page import Page, send_from_png_info

pytestmark = pytest.mark.webui

PROMPT = "a cat wearing sunglasses and a dog wearing a hat"


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
def test_the_panel_opens_and_previews_in_both_tabs_and_themes(open_page, tab, theme):
    page = open_page(tab, theme)
    page.prompt(PROMPT)
    page.enable()
    page.shown("cat: wearing, sunglasses", "Clean prompt: a cat and a dog")
    colours = (
        page.control("preview_result")
        .locator(".tome-noun")
        .evaluate_all("all => all.map(one => getComputedStyle(one).backgroundColor)")
    )
    assert len(set(colours)) == 2
    page.shot(f"panel-{tab}-{theme}", page.control("enabled"))


@pytest.mark.parametrize("width", [420, 1024, 1920])
def test_nothing_of_the_panel_is_wider_than_the_page(open_page, width):
    page = open_page()
    page.page.set_viewport_size({"width": width, "height": 1400})
    page.prompt(PROMPT)
    page.enable()
    page.unfold()
    page.shown("cat: wearing, sunglasses")
    panel = page.control("enabled")
    wide = panel.evaluate(
        "panel => [...panel.querySelectorAll('*')].filter(e => e.offsetParent && e.getBoundingClientRect().width"
        " && (e.getBoundingClientRect().right > panel.getBoundingClientRect().right + 2"
        " || e.getBoundingClientRect().right > innerWidth + 1)).map(e => e.id || e.className)"
    )
    page.shot(f"width-{width}", panel)
    assert wide == []


def test_the_preview_follows_the_prompt_and_the_groups_box(open_page):
    page = open_page()
    page.enable()
    page.prompt("a red cat and a tall tree")
    page.shown("cat: red")
    page.prompt("a blue dog and a tall tree")
    page.shown("dog: blue")
    page.fill("groups", "<img src=x onerror=alert(1)>")
    page.shown("expected an object")


def test_a_preset_fills_the_controls_and_a_change_shows_custom(open_page):
    page = open_page()
    page.enable()
    page.unfold()
    page.choose("preset", "reference")
    page.becomes("noun_weight", "1.1")
    page.becomes("iterations", "6")
    page.becomes("binding_weight", "10000")
    page.fill("noun_weight", "1.3")
    page.becomes("preset", "custom")
    page.choose("preset", "fast")
    page.becomes("iterations", "0")
    page.becomes("noun_weight", "1")


def test_the_words_do_not_make_a_preset_custom(open_page):
    page = open_page()
    page.enable()
    page.fill("groups", "cat: hat")
    page.page.wait_for_timeout(500)
    assert page.value("preset") == "balanced"


def test_every_control_explains_itself(open_page):
    page = open_page()
    page.enable()
    page.page.wait_for_timeout(2500)
    titles = page.page.evaluate(
        "() => [...gradioApp().querySelectorAll('[id^=script_txt2img_tome_semantic_binding_]')]"
        ".map(e => e.title || (e.querySelector('[title]') || {}).title || '')"
    )
    assert sum(bool(title) for title in titles) > 25


def test_an_image_its_infotext_and_back_through_png_info(open_page, webui):
    page = open_page()
    page.prompt("a red cat and a blue dog")
    page.small()
    page.enable()
    page.unfold()
    page.choose("preset", "fast")
    page.fill("noun_weight", "1.25")
    page.choose("hires", "off")
    page.fill("groups", 'cat: red; dog: "tall, wide"')
    text = page.generate()
    assert 'ToMe: fast, ToMe changes: "noun_weight=1.25, hires=off"' in text
    page.shot("generated")
    image = webui.image([True, {"preset": "paper", "iterations": 2, "ets": "off", "groups": "cat: red"}])[0]
    send_from_png_info(page, image)
    page.becomes("iterations", "2")
    assert (page.value("enabled"), page.value("preset"), page.value("ets")) == (True, "custom", "off")
    assert (page.value("groups"), page.value("noun_weight"), page.value("hires")) == ("cat: red", "1", "merge")
    send_from_png_info(page, webui.image()[0])
    page.becomes("enabled", False)


def test_send_to_img2img_takes_the_settings_along(open_page):
    page = open_page()
    page.prompt("a red cat and a blue dog")
    page.small()
    page.enable()
    page.choose("preset", "fast")
    page.fill("groups", "cat: red")
    page.generate()
    page.page.locator("#txt2img_send_to_img2img").click()
    other = Page(page.page, "img2img")
    other.becomes("groups", "cat: red")
    assert (other.value("enabled"), other.value("preset"), other.value("iterations")) == (True, "fast", "0")


def test_a_grid_over_a_setting(open_page):
    page = open_page()
    page.prompt("a red cat and a blue dog")
    page.small()
    page.enable()
    script = page.page.locator("#script_list").first
    script.locator("input").first.click()
    script.locator('li[aria-label="X/Y/Z plot"]').click()
    kind = page.page.locator("#script_txt2img_xyz_plot_x_type, #script_x_y_z_plot_x_type").first
    kind.locator("input").first.click()
    kind.locator("input").first.fill("[ToMe] Preset")
    kind.locator('li[aria-label="[ToMe] Preset"]').click()
    page.page.wait_for_timeout(1000)
    page.page.locator("#xyz_grid_fill_x_tool_button").first.click()
    page.page.wait_for_timeout(1000)
    text = page.generate()
    assert "ToMe: fast, " in text  # the first cell; the controls say balanced
    page.shot("grid")
