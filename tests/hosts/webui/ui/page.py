"""One page of a real WebUI in headless Chromium: WEBUI_DIR (see tests/hosts/running.py), Playwright, Chromium.

``TOME_SCREENSHOTS`` names a folder for pictures of what was seen.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
from pathlib import Path

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

    def disable(self):
        if self.value("enabled"):
            self.page.locator(f"#script_{self.tab}_tome_semantic_binding_enabled-visible-checkbox").click()
        self.becomes("enabled", False)

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
        """Ask for a small image. Forge Neo sets these fields once more, some time after the page appears."""
        side = str(json.loads(os.environ.get("WEBUI_REQUEST", "{}")).get("width", 256))
        wanted = {"steps": steps, "width": side, "height": side}
        boxes = {name: self.page.locator(f"#{self.tab}_{name} input[type=number]").first for name in wanted}
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for name, box in boxes.items():
                if box.input_value() != wanted[name]:
                    box.fill(wanted[name])
                    box.press("Tab")
            self.page.wait_for_timeout(1500)
            if {name: box.input_value() for name, box in boxes.items()} == wanted:
                return
        raise AssertionError(f"the fields do not keep {wanted}")

    def seed(self, number):
        box = self.page.locator(f"#{self.tab}_seed input").first
        box.fill(str(number))
        box.press("Tab")

    def generate(self):
        """Click, wait, and return the infotext below the image."""
        before = self._source()
        self.page.locator(f"#{self.tab}_generate").click()
        end = time.monotonic() + 240
        while time.monotonic() < end:
            self.page.wait_for_timeout(300)
            done = self.page.locator(f"#{self.tab}_interrupt").is_hidden()
            if done and self._source() not in (None, before) and self.infotext():
                return self.infotext()
        raise TimeoutError("no image")

    def _source(self):
        """The address of the image in the gallery."""
        found = self.page.locator(f"#{self.tab}_gallery img[src*='file=']")
        return found.last.get_attribute("src") if found.count() else None

    def image(self):
        """The image in the gallery, as a file in base64."""
        read = "async address => [...new Uint8Array(await (await fetch(address)).arrayBuffer())]"
        return base64.b64encode(bytes(self.page.evaluate(read, self._source()))).decode()

    def infotext(self):
        text = self.page.locator(f"#html_info_{self.tab}").first.inner_text()
        return text if "Steps:" in text else ""

    def shown(self, *texts):
        """Wait until the live preview holds all of these; what it says."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            said = self.control("preview_result").text_content()  # with what is folded away
            stale = "tome-stale" in (self.control("preview_result").get_attribute("class") or "")
            if not stale and all(text in said for text in texts):
                return said
            self.page.wait_for_timeout(100)
        raise AssertionError(f"{texts} not in the preview: {said!r} (stale: {stale})")

    def word(self, text, number=0):
        """Click a word in the preview."""
        self.control("preview_result").locator(".tome-word").get_by_text(text, exact=True).nth(number).click()

    def says(self, text):
        """Wait until the lines below the preview hold this."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if text in self.control("status").inner_text():
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"{text!r} not in {self.control('status').inner_text()!r}")

    def unfold(self):
        if not self.control("parser").is_visible():
            self.page.locator(f"#script_{self.tab}_tome_semantic_binding_advanced .label-wrap").first.click()
            self.control("parser").wait_for(state="visible")

    def shot(self, name, locator=None):
        folder = os.environ.get("TOME_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            (locator or self.page).screenshot(path=str(Path(folder) / f"{name}.png"))


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
