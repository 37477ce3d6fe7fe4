from __future__ import annotations

import importlib.util
import os
import re
import sys
import types
from pathlib import Path

import pytest

from tests.hosts.webui.ui import standins
from tests.hosts.webui.ui.page import CHROMIUM, QUIET, Page

ROOT = Path(__file__).parents[4]
ENTRY = ROOT / "scripts" / "tome_semantic_binding.py"


class StubJob:
    """A job that writes down what it is called for."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.batches = []

    def before_batch(self, p, batch):
        self.calls.append("before_batch")
        self.batches.append(batch)

    def before_sampling(self, p, c):
        self.calls.append("before_sampling")

    def finish(self, p, processed):
        self.calls.append("finish")


@pytest.fixture
def host(monkeypatch):
    """The WebUI's modules, and our script loaded as the WebUI loads it."""
    for name in [name for name in sys.modules if name.startswith("tome_ext.hosts.webui")]:
        monkeypatch.delitem(sys.modules, name)
    fakes = standins.modules()
    for name, module in fakes.items():
        monkeypatch.setitem(sys.modules, name, module)

    def load():
        spec = importlib.util.spec_from_file_location(ENTRY.name, ENTRY)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    module = load()
    yield types.SimpleNamespace(entry=module, load=load, callbacks=fakes["modules.script_callbacks"], fakes=fakes)
    for name in [name for name in sys.modules if name.startswith("tome_ext.hosts.webui")]:
        del sys.modules[name]


@pytest.fixture
def generation(host, monkeypatch):
    """A stand-in for what happens during sampling; ``started`` holds the options of every job."""
    fake = types.ModuleType("tome_ext.hosts.webui.sampling.job")
    fake.started, fake.stopped, fake.denoised, fake.error = [], [], [], None

    def start(p, options, entries):
        if fake.error:
            raise fake.error
        fake.started.append(options)
        p.job = StubJob()
        return p.job

    fake.start = start
    fake.stop = lambda p: (fake.stopped.append(p), setattr(p, "job", None))
    fake.job_of = lambda p: getattr(p, "job", None)
    fake.on_denoise = lambda params: fake.denoised.append(params)
    fake.on_denoised = lambda params: None
    monkeypatch.setitem(sys.modules, "tome_ext.hosts.webui.sampling.job", fake)
    import tome_ext.hosts.webui.sampling

    monkeypatch.setattr(tome_ext.hosts.webui.sampling, "job", fake, raising=False)
    return fake


@pytest.fixture
def script(host):
    """Our script in txt2img, with its controls built."""
    made = host.entry.ToMeScript()
    for name, value in {"prompt": "", "styles": [], "steps": 30, "cfg_scale": 7.0}.items():
        made.after_component(standins.Component(value, elem_id=f"txt2img_{name}"), elem_id=f"txt2img_{name}")
    made.controls = made.ui(False)
    made.name, made.args_from = made.title().lower(), 1
    made.args_to = 1 + len(made.controls)
    return made


@pytest.fixture(scope="session")
def webui(tmp_path_factory):
    """A real WebUI with the extension, for tests marked ``webui``."""
    if not os.environ.get("WEBUI_DIR"):
        pytest.skip("needs a WebUI: set WEBUI_DIR (see tests/hosts/running.py)")
    from tests.hosts.webui.ui.running import WebUI

    found = WebUI(tmp_path_factory.mktemp("webui"))
    yield found
    found.stop()


@pytest.fixture(scope="session")
def browser():
    if not CHROMIUM:
        pytest.skip("needs Chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as pw:
        found = pw.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield found
        found.close()


@pytest.fixture
def open_page(webui, browser):
    pages = []

    def opened(tab="txt2img", theme="dark"):
        page = browser.new_page(viewport={"width": 1400, "height": 1400})
        page.set_default_timeout(120_000)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
        page.on("dialog", lambda dialog: (page.errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.posts = []
        page.on("request", lambda r: page.posts.append(r.post_data or "") if r.method == "POST" else None)
        page.route(lambda url: not url.startswith((webui.url, "data:", "blob:")), lambda route: route.abort())
        page.goto(f"{webui.url}/?__theme={theme}")
        page.locator("#txt2img_generate").wait_for(state="visible")
        page.wait_for_timeout(4000)  # Forge Neo's page navigates once more
        page.locator("#script_txt2img_tome_semantic_binding_enabled").first.wait_for(state="attached")
        if tab != "txt2img":
            page.locator("#tabs > .tab-nav button", has_text=re.compile(f"^{tab}", re.IGNORECASE)).click()
        pages.append(page)
        return Page(page, tab)

    yield opened
    for page in pages:
        page.close()
        ours = [e for e in page.errors if re.search(r"tome|dialog", e, re.IGNORECASE)]
        assert ours == []
