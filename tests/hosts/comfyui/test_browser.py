"""The page of a running ComfyUI in headless Chromium: nodes from the menu, the examples run and looked at.

Needs Playwright and Chromium beside COMFYUI_DIR. ``TOME_SCREENSHOTS`` names a folder for pictures of what was seen.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.hosts.comfyui.server import ROOT
from tests.hosts.webui.ui.page import CHROMIUM, QUIET

pytestmark = pytest.mark.comfyui
EXAMPLES = sorted((ROOT / "example_workflows").glob("*.json"))


@pytest.fixture
def page(comfy):
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        opened = browser.new_page(viewport={"width": 2000, "height": 1100})
        opened.goto(comfy.url, timeout=180_000)
        opened.wait_for_function("window.app && window.app.graph && window.app.extensionManager", timeout=180_000)
        opened.wait_for_timeout(6000)
        opened.keyboard.press("Escape")  # the templates that a first visit shows
        opened.wait_for_timeout(1000)
        yield opened
        browser.close()


def seen(page, name):
    if "TOME_SCREENSHOTS" in os.environ:
        page.screenshot(path=str(Path(os.environ["TOME_SCREENSHOTS"]) / f"{name}.png"))


def run(page, comfy):
    """Run what is on the page, with its button's function."""
    before = set(comfy.ask("/history"))
    page.evaluate("async () => { await app.queuePrompt(0); }")
    end = time.monotonic() + 900
    while time.monotonic() < end:
        new = set(comfy.ask("/history")) - before
        if new:
            return comfy.wait(new.pop())
        page.wait_for_timeout(500)
    raise TimeoutError


_DRAWN = "() => app.graph._nodes.every(node => (node.imgs ?? []).every(one => one.complete && one.naturalWidth))"


def told(page):
    """What the page has put up in its corner."""
    return page.evaluate("() => [...document.querySelectorAll('.p-toast-message')].map(one => one.innerText)")


def load(page, workflow):
    page.evaluate("async workflow => { await app.loadGraphData(workflow); }", workflow)
    page.wait_for_timeout(2000)


def shown(page):
    """The nodes that show a picture."""
    return page.evaluate("() => app.graph._nodes.filter(node => node.imgs?.length).map(node => node.type)")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_from_the_page(page, comfy, path):
    load(page, json.loads(path.read_text("utf-8")))
    assert told(page) == []
    made = run(page, comfy)
    assert made.status == "success"
    page.wait_for_timeout(3000)
    page.wait_for_function(_DRAWN, timeout=60_000)
    page.wait_for_timeout(1000)
    seen(page, path.stem)
    assert "SaveImage" in shown(page)
    if "merge" not in path.stem:
        assert "PreviewImage" in shown(page)


def test_a_node_comes_from_the_menu(page):
    page.evaluate("() => app.graph.clear()")
    page.mouse.dblclick(900, 600)
    page.wait_for_timeout(1500)
    page.keyboard.type("ToMe Text Encode", delay=30)
    page.wait_for_timeout(2000)
    seen(page, "menu")
    page.keyboard.press("Enter")
    page.wait_for_timeout(1500)
    assert page.evaluate("() => app.graph._nodes.map(node => node.type)") == ["ToMe_TextEncode"]


def test_a_note_stands_under_the_node_it_is_about_until_it_is_no_longer_so(page, comfy):
    """Image to image with half of the noise: no step is refined, and ToMe Refine says so; then with all of it."""
    workflow = json.loads((ROOT / "example_workflows" / "tome_refine.json").read_text("utf-8"))
    sampler = next(node for node in workflow["nodes"] if node["type"] == "KSampler")
    sampler["widgets_values"][2], sampler["widgets_values"][-1] = 10, 0.5
    load(page, workflow)
    assert run(page, comfy).status == "success"
    page.wait_for_timeout(2000)
    seen(page, "note")
    found = (
        "() => app.graph._nodes.find(node => node.type == 'ToMe_Refine').widgets.map(widget => String(widget.value))"
    )
    assert any("no step is refined" in value for value in page.evaluate(found))
    page.evaluate("() => app.graph._nodes.find(node => node.type == 'KSampler').widgets.at(-1).value = 1")
    assert run(page, comfy).status == "success"
    page.wait_for_timeout(2000)
    seen(page, "no-note")
    assert not any("no step is refined" in value for value in page.evaluate(found))


def test_the_help_page_of_a_node_is_shown(page):
    load(page, json.loads((ROOT / "example_workflows" / "tome_refine.json").read_text("utf-8")))
    x, y = page.evaluate(
        """() => {
            const node = app.graph._nodes.find(node => node.type == 'ToMe_Refine'), canvas = app.canvas
            const place = canvas.ds.convertOffsetToCanvas([node.pos[0] + 80, node.pos[1] - 15])
            const box = canvas.canvas.getBoundingClientRect()
            return [box.left + place[0], box.top + place[1]]
        }"""
    )
    page.mouse.click(x, y)
    page.locator("[data-testid=info-button]").first.click(timeout=30_000)
    page.get_by_text("While the layout of the picture forms").first.wait_for(timeout=30_000)
    seen(page, "help")
