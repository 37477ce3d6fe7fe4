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


# From the menu: the name that is typed there, where the node is put, and what is set.
_BUILT = {
    "ToMe Load Shapes Model": ((30, 60), {}),
    "Empty Latent Image": ((30, 300), {"width": 192, "height": 192}),
    "ToMe Text Encode": ((330, 60), {"text": "a red circle and a blue square"}),
    "CLIP Text Encode": ((330, 560), {}),
    "ToMe Refine": ((780, 60), {"attention_maps": True}),
    "KSampler": ((780, 300), {"steps": 10, "cfg": 4}),
    "VAE Decode": ((1150, 60), {}),
    "ToMe Attention Maps": ((1150, 200), {}),
    "Save Image": ((1420, 60), {}),
    "Preview Image": ((1420, 520), {}),
}
# A node and its output, a node and its input.
_WIRES = [
    ("ToMe Load Shapes Model", "CLIP", "ToMe Text Encode", "clip"),
    ("ToMe Load Shapes Model", "CLIP", "CLIP Text Encode", "clip"),
    ("ToMe Load Shapes Model", "MODEL", "ToMe Refine", "model"),
    ("ToMe Refine", "MODEL", "KSampler", "model"),
    ("ToMe Text Encode", "CONDITIONING", "KSampler", "positive"),
    ("CLIP Text Encode", "CONDITIONING", "KSampler", "negative"),
    ("Empty Latent Image", "LATENT", "KSampler", "latent_image"),
    ("KSampler", "LATENT", "VAE Decode", "samples"),
    ("ToMe Load Shapes Model", "VAE", "VAE Decode", "vae"),
    ("VAE Decode", "IMAGE", "Save Image", "images"),
    ("ToMe Refine", "report", "ToMe Attention Maps", "report"),
    ("VAE Decode", "IMAGE", "ToMe Attention Maps", "images"),
    ("ToMe Attention Maps", "maps", "Preview Image", "images"),
]


def add(page, title):
    """Add a node with the menu of a double click, and put it out of the way; its number."""
    page.mouse.dblclick(1000, 700)
    page.locator("input[placeholder*='earch']").first.wait_for(state="visible", timeout=60_000)
    page.wait_for_timeout(400)
    page.keyboard.type(title, delay=20)
    page.wait_for_timeout(1500)
    page.keyboard.press("Enter")
    page.wait_for_timeout(1000)
    number = page.evaluate(
        "() => { const node = app.graph._nodes.at(-1); node.pos = [-4000 * node.id, -4000]; return node.id }"
    )
    page.mouse.click(1000, 1000)
    page.wait_for_timeout(300)
    return number


def drag(page, one, out, two, into):
    """Draw a wire from an output to an input, by the mouse."""
    start, end = page.evaluate(
        """([one, out, two, into]) => {
            const from = app.graph.getNodeById(one), to = app.graph.getNodeById(two)
            const box = app.canvas.canvas.getBoundingClientRect()
            const ends = [from.getConnectionPos(false, from.findOutputSlot(out)),
                          to.getConnectionPos(true, to.findInputSlot(into))]
            return ends.map(end => app.canvas.ds.convertOffsetToCanvas(end))
                .map(([x, y]) => [box.left + x, box.top + y])
        }""",
        [one, out, two, into],
    )
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=4)
    page.mouse.move(*end, steps=4)
    page.mouse.up()
    page.wait_for_timeout(200)


def test_a_workflow_is_built_from_the_menu_with_the_mouse(page, comfy):
    page.evaluate("() => { app.graph.clear(); app.canvas.setDirty(true, true) }")
    numbers = {title: add(page, title) for title in _BUILT}
    page.evaluate(
        """given => given.forEach(([number, [place, values]]) => {
            const node = app.graph.getNodeById(number)
            node.pos = place
            node.widgets?.forEach(widget => { if (widget.name in values) widget.value = values[widget.name] })
            app.canvas.setDirty(true, true)
        })""",
        [[numbers[title], given] for title, given in _BUILT.items()],
    )
    page.wait_for_timeout(1500)
    for one, out, two, into in _WIRES:
        drag(page, numbers[one], out, numbers[two], into)
    seen(page, "wired")
    assert len(page.evaluate("() => Object.keys(app.graph.serialize().links)")) == len(_WIRES)
    made = run(page, comfy)
    assert made.status == "success"
    page.wait_for_timeout(3000)
    page.wait_for_function(_DRAWN, timeout=60_000)
    seen(page, "built")
    assert {"SaveImage", "PreviewImage"} <= set(shown(page))
    assert told(page) == []


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
