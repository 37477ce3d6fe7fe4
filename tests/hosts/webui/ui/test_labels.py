from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tome_ext.hosts.webui.ui.labels import template

ROOT = Path(__file__).parents[4]
TEMPLATE = ROOT / "docs" / "controls.json"
TRANSLATIONS = sorted((ROOT / "localizations").glob("*.json"))


def test_the_translators_template_holds_what_the_controls_say():
    said = "run: python -m tome_ext.hosts.webui.ui.labels > docs/controls.json"
    assert json.loads(TEMPLATE.read_text(encoding="utf-8")) == template(), said


def test_the_template_is_printed_by_the_command_and_not_by_an_import():
    name = "tome_ext.hosts.webui.ui.labels"
    run, imported = (
        subprocess.run([sys.executable, *flags], cwd=ROOT, capture_output=True, text=True, encoding="utf-8").stdout
        for flags in (["-X", "utf8", "-m", name], ["-c", f"import {name}"])
    )
    assert json.loads(run) == template()
    assert imported == ""


def test_the_template_is_no_language():
    assert not list((ROOT / "localizations").glob("tome*"))


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: path.stem)
def test_a_translation_has_no_text_that_is_shown_no_more(path):
    assert set(json.loads(path.read_text(encoding="utf-8"))) <= set(template())


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: path.stem)
def test_a_translation_has_nearly_every_text(path):
    missing = set(template()) - set(json.loads(path.read_text(encoding="utf-8")))
    assert len(missing) < 15, sorted(missing)


def test_what_the_preview_and_the_line_about_the_cost_say_stands_in_text_nodes_of_its_own(host):
    """The WebUI's localization looks up whole text nodes."""
    import re

    from tome_ext.hosts.webui.ui.preview import preview
    from tome_ext.hosts.webui.ui.status import status
    from tome_ext.settings import Settings

    nodes: set[str] = set()
    for prompt in ("a red cat and a blue dog", "a cat and a dog", "a red cat", "", "a red cat <tome:off>"):
        nodes |= set(re.findall(r">([^<>]+)<", preview(prompt, [], Settings(parser="builtin")).html))
    for settings in (Settings(), Settings(iterations=0), Settings(strength=0.0), Settings(iterations=2)):
        nodes |= set(re.findall(r">([^<>]+)<", status(settings)))
    found = {node.strip() for node in nodes}
    shown = {"Clean prompt:", "Details", "Left alone:", "Type a prompt first.", "objects:", "steps:"}
    assert shown | {text for text in template() if text.startswith(("Nothing", "Estimated", "No pass"))} <= found
