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
    end = time.monotonic() + 300
    while time.monotonic() < end:
        new = set(comfy.ask("/history")) - before
        if new:
            return comfy.wait(new.pop())
        page.wait_for_timeout(500)
    raise TimeoutError


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_from_the_page(page, comfy, path):
    page.evaluate("async workflow => { await app.loadGraphData(workflow); }", json.loads(path.read_text("utf-8")))
    page.wait_for_timeout(2000)
    made = run(page, comfy)
    assert made.status == "success"
    page.wait_for_timeout(3000)
    seen(page, path.stem)
    shown = page.evaluate("() => app.graph._nodes.filter(node => node.imgs?.length).map(node => node.type)")
    assert "SaveImage" in shown
    if "merge" not in path.stem:
        assert "PreviewImage" in shown


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


def test_a_note_stands_under_the_node_it_is_about(page, comfy):
    """Image to image with half of the noise: no step is refined, and ToMe Refine says so."""
    workflow = json.loads((ROOT / "example_workflows" / "tome_refine.json").read_text("utf-8"))
    for node in workflow["nodes"]:
        if node["type"] == "KSampler":
            node["widgets_values"][-1] = 0.5
    page.evaluate("async workflow => { await app.loadGraphData(workflow); }", workflow)
    page.wait_for_timeout(2000)
    assert run(page, comfy).status == "success"
    page.wait_for_timeout(2000)
    seen(page, "note")
    found = (
        "() => app.graph._nodes.find(node => node.type == 'ToMe_Refine').widgets.map(widget => String(widget.value))"
    )
    assert any("no step is refined" in value for value in page.evaluate(found))
