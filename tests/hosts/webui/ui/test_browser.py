"""The page of a real WebUI in headless Chromium: WEBUI_DIR (see tests/hosts/running.py), Playwright, Chromium.

``TOME_SCREENSHOTS`` names a folder for pictures of what was seen.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import time
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")

pytestmark = pytest.mark.webui

PROMPT = "a cat wearing sunglasses and a dog wearing a hat"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


class Page:
    """One open page, and what is in our panel of one of its tabs."""

    def __init__(self, page, tab="txt2img"):
        self.page, self.tab = page, tab

    def __getattr__(self, name):
        return getattr(self.page, name)

    def control(self, name):
        return self.page.locator(f"#script_{self.tab}_tome_semantic_binding_{name}").first

    def value(self, name):
        if name == "enabled":
            return self.page.evaluate(
                "id => gradioApp().getElementById(id).querySelector('input').checked",
                f"script_{self.tab}_tome_semantic_binding_enabled-checkbox",
            )
        return (
            self.control(name)
            .locator("input, textarea")
            .first.evaluate("e => e.type == 'checkbox' ? e.checked : e.value")
        )

    def becomes(self, name, value):
        end = time.monotonic() + 15
        while self.value(name) != value and time.monotonic() < end:
            self.page.wait_for_timeout(100)
        assert self.value(name) == value, name

    def enable(self):
        if not self.value("enabled"):
            self.page.locator(f"#script_{self.tab}_tome_semantic_binding_enabled .label-wrap").first.click()
        self.becomes("enabled", True)

    def choose(self, name, option):
        box = self.control(name).locator("input").first
        box.click()
        self.control(name).locator(f'li[aria-label="{option}"], [role=option][aria-label="{option}"]').first.click()
        self.becomes(name, option)

    def fill(self, name, text):
        box = self.control(name).locator("input[type=number], textarea").first
        box.fill(text)
        box.press("Tab")

    def prompt(self, text):
        self.page.fill(f"#{self.tab}_prompt textarea", text)

    def small(self, steps="2"):
        for name, value in (("steps", steps), ("width", "256"), ("height", "256")):
            box = self.page.locator(f"#{self.tab}_{name} input[type=number]").first
            box.fill(value)
            box.press("Tab")

    def generate(self):
        """Click, wait, and return the infotext below the image."""
        before = self.infotext()
        self.page.locator(f"#{self.tab}_generate").click()
        end = time.monotonic() + 240
        while time.monotonic() < end:
            self.page.wait_for_timeout(300)
            if self.infotext() not in ("", before):
                return self.infotext()
        raise TimeoutError("no image")

    def infotext(self):
        text = self.page.locator(f"#html_info_{self.tab}").first.inner_text()
        return text if "Steps:" in text else ""

    def preview(self):
        self.control("preview").click()
        self.control("preview_result").locator(".tome-preview, .tome-error, .tome-note").first.wait_for()
        self.page.wait_for_timeout(700)
        return self.control("preview_result").inner_text()

    def shot(self, name, locator=None):
        folder = os.environ.get("TOME_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            (locator or self.page).screenshot(path=str(Path(folder) / f"{name}.png"))


@pytest.fixture(scope="session")
def browser():
    if not CHROMIUM:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as pw:
        found = pw.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield found
        found.close()


@pytest.fixture
def open_page(webui, browser):
    pages = []

    def opened(tab="txt2img", theme="dark"):
        page = browser.new_page(viewport={"width": 1400, "height": 1400})
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
        page.on("dialog", lambda dialog: (page.errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.route(lambda url: not url.startswith((webui.url, "data:", "blob:")), lambda route: route.abort())
        page.goto(f"{webui.url}/?__theme={theme}")
        page.locator("#txt2img_generate").wait_for(state="visible", timeout=120_000)
        page.wait_for_timeout(1500)
        if tab != "txt2img":
            page.locator("#tabs > .tab-nav button", has_text=re.compile(f"^{tab}", re.IGNORECASE)).click()
        pages.append(page)
        return Page(page, tab)

    yield opened
    for page in pages:
        page.close()
        ours = [e for e in page.errors if re.search(r"tome|dialog", e, re.IGNORECASE)]
        assert ours == []


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
def test_the_panel_opens_and_previews_in_both_tabs_and_themes(open_page, tab, theme):
    page = open_page(tab, theme)
    page.prompt(PROMPT)
    page.enable()
    shown = page.preview()
    assert "Clean prompt: a cat and a dog" in shown
    colours = (
        page.control("preview_result")
        .locator(".tome-noun")
        .evaluate_all("all => all.map(one => getComputedStyle(one).backgroundColor)")
    )
    assert len(set(colours)) == 2
    page.shot(f"panel-{tab}-{theme}", page.control("enabled"))


def test_the_preview_follows_the_prompt_and_the_groups_box(open_page):
    page = open_page()
    page.enable()
    page.prompt("a red cat")
    assert "cat: red" in page.preview()
    page.prompt("a blue dog")
    assert "dog: blue" in page.preview()
    page.fill("groups", "<img src=x onerror=alert(1)>")
    assert "expected an object" in page.preview()


def test_a_preset_fills_the_controls_and_a_change_shows_custom(open_page):
    page = open_page()
    page.enable()
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


def send_from_png_info(page, image):
    page.page.locator("#tabs > .tab-nav button", has_text="PNG Info").click()
    upload = page.page.locator("#pnginfo_image input[type=file], #tab_pnginfo input[type=file]").first
    clear = page.page.locator("#tab_pnginfo button[aria-label=Clear], #tab_pnginfo button[aria-label='Remove Image']")
    if clear.count():
        clear.first.click()
    upload.set_input_files({"name": "x.png", "mimeType": "image/png", "buffer": base64.b64decode(image)})
    page.page.locator("#tab_pnginfo", has_text="Seed: 1").wait_for()
    page.page.wait_for_timeout(1000)
    page.page.locator("#tab_pnginfo #txt2img_tab").click()
    page.page.wait_for_timeout(2500)


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
