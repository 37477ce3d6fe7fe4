"""One prompt by panel, by tag and by API on a real WebUI is one image: WEBUI_DIR (see tests/hosts/running.py)."""

from __future__ import annotations

import re

import pytest

from tests.hosts.webui.ui.page import send_from_png_info
from tests.hosts.webui.ui.running import pixels

pytestmark = pytest.mark.webui

PROMPT = "a red cat and a blue dog"
GROUPS = "cat: blue; dog: red"


def same(webui, text, args=None, prompt=PROMPT):
    """The pixels of the request that ``text``, an infotext of the page, describes; its ToMe from ``args``."""
    found = dict(re.findall(r"(Steps|Sampler|Schedule type|CFG scale|Seed|Size): ([^,\n]+)", text))
    width, height = map(int, found["Size"].split("x"))
    more = {"scheduler": found["Schedule type"]} if "Schedule type" in found else {}
    encoded, _ = webui.image(
        args,
        prompt=prompt,
        steps=int(found["Steps"]),
        sampler_name=found["Sampler"],
        cfg_scale=float(found["CFG scale"]),
        seed=int(found["Seed"]),
        width=width,
        height=height,
        **more,
    )
    return pixels(encoded)


def test_panel_tag_and_api_make_the_same_image(open_page, webui):
    page = open_page()
    page.small()
    page.seed(1)
    page.prompt(PROMPT)
    plain = page.generate()
    plain_pixels = pixels(page.image())
    assert plain_pixels == same(webui, plain)
    page.enable()
    page.fill("groups", GROUPS)
    by_panel = page.generate()
    panel_pixels = pixels(page.image())
    assert panel_pixels == same(webui, by_panel, [True, {"groups": GROUPS}]) != plain_pixels
    page.fill("groups", "")
    page.disable()
    page.prompt(f"{PROMPT} <tome:{GROUPS}>")
    by_tag = page.generate()
    assert pixels(page.image()) == panel_pixels
    assert f"<tome:{GROUPS}>" in by_tag
    page.prompt(PROMPT)
    page.generate()
    assert pixels(page.image()) == plain_pixels


def test_an_image_with_a_tag_comes_back_through_png_info(open_page, webui):
    encoded, _ = webui.image(prompt=f"{PROMPT} <tome:fast; {GROUPS}>")
    page = open_page()
    page.small()  # until the page has set its own values
    send_from_png_info(page, encoded)
    assert f"<tome:fast; {GROUPS}>" in page.page.locator("#txt2img_prompt textarea").input_value()
    assert not page.value("enabled")
    page.generate()
    page.generate()
    assert pixels(page.image()) == pixels(encoded)


def test_a_pasted_infotext_sets_the_controls_and_makes_the_same_image(open_page, webui):
    page = open_page()
    page.small()
    image, text = webui.image([True, {"preset": "fast", "noun_weight": 1.5, "groups": 'cat: red; dog: "big, tall"'}])
    page.prompt(text)
    page.page.locator("#paste").first.click()
    page.becomes("noun_weight", "1.5")
    assert (page.value("enabled"), page.value("preset")) == (True, "custom")
    assert page.value("groups") == 'cat: red; dog: "big, tall"'
    # The page's numbers are written otherwise than the API's: CFG scale 7 and 7.0.
    assert page.generate().partition("ToMe:")[2].split() == text.partition("ToMe:")[2].split()
    assert pixels(page.image()) == pixels(image)
    page.prompt(webui.image()[1])
    page.page.locator("#paste").first.click()
    page.becomes("enabled", False)


def test_pages_side_by_side_each_show_their_own_prompt(open_page):
    first, second = open_page(), open_page(theme="light")
    for page in (first, second):
        page.enable()
    first.prompt("a red cat and a tall tree")
    second.prompt("a blue dog and a green bird")
    first.shown("cat: red", "tree: tall")
    second.shown("dog: blue", "bird: green")
    first.fill("groups", "cat: tall")
    first.shown("cat: tall")
    assert "cat" not in second.control("preview_result").text_content()
    assert second.value("groups") == ""
