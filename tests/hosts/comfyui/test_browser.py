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


def add(page, title):
    """Add a node with the menu of a double click, and put it aside; its number."""
    page.mouse.dblclick(1000, 930)
    page.wait_for_function("() => document.activeElement?.tagName == 'INPUT'", timeout=60_000)
    page.keyboard.type(title, delay=20)
    page.wait_for_timeout(1500)
    page.keyboard.press("Enter")
    page.wait_for_timeout(1000)
    return page.evaluate(_LAST)


_LAST = """() => {
    const node = app.graph._nodes.at(-1), count = app.graph._nodes.length - 1
    node.pos = [30 + 380 * (count % 5), 60 + 370 * Math.floor(count / 5)]
    app.canvas.setDirty(true, true)
    return node.id
}"""
# From the menu: the name that is typed there, and what is set.
_BUILT = {
    "ToMe Load Shapes Model": {},
    "ToMe Text Encode": {"text": "a red circle and a blue square"},
    "CLIP Text Encode (Prompt)": {},
    "Empty Latent Image": {"width": 192, "height": 192},
    "ToMe Refine": {"attention_maps": True},
    "KSampler": {"steps": 10, "cfg": 4},
    "VAE Decode": {},
    "Save Image": {},
    "ToMe Attention Maps": {},
    "Preview Image": {},
}
# A node and its output, a node and its input.
_WIRES = [
    (0, "CLIP", 1, "clip"),
    (0, "CLIP", 2, "clip"),
    (0, "MODEL", 4, "model"),
    (4, "MODEL", 5, "model"),
    (1, "CONDITIONING", 5, "positive"),
    (2, "CONDITIONING", 5, "negative"),
    (3, "LATENT", 5, "latent_image"),
    (5, "LATENT", 6, "samples"),
    (0, "VAE", 6, "vae"),
    (6, "IMAGE", 7, "images"),
    (4, "report", 8, "report"),
    (6, "IMAGE", 8, "images"),
    (8, "maps", 9, "images"),
]


def test_a_workflow_is_built_from_the_menu(page, comfy):
    page.evaluate("() => app.graph.clear()")
    numbers = [add(page, title) for title in _BUILT]
    seen(page, "menu")
    types = page.evaluate("() => app.graph._nodes.map(node => node.type)")
    assert [kind for kind in types if kind.startswith("ToMe_")] == [
        "ToMe_LoadShapes",
        "ToMe_TextEncode",
        "ToMe_Refine",
        "ToMe_AttentionMaps",
    ]
    wires = [(numbers[one], out, numbers[two], into) for one, out, two, into in _WIRES]
    page.evaluate(
        """wires => wires.forEach(([one, out, two, into]) => {
            const from = app.graph.getNodeById(one), to = app.graph.getNodeById(two)
            from.connect(from.findOutputSlot(out), to, to.findInputSlot(into))
        })""",
        wires,
    )
    page.evaluate(
        """given => given.forEach(([number, values]) => app.graph.getNodeById(number).widgets?.forEach(widget => {
            if (widget.name in values) widget.value = values[widget.name]
        }))""",
        list(zip(numbers, _BUILT.values(), strict=True)),
    )
    made = run(page, comfy)
    assert made.status == "success"
    page.wait_for_timeout(3000)
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
