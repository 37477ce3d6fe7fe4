from __future__ import annotations

import json
from pathlib import Path

from tome_ext.hosts.webui.ui.labels import template

ROOT = Path(__file__).parents[4]
TEMPLATE = ROOT / "docs" / "controls.json"


def test_the_translators_template_holds_what_the_controls_say():
    said = "run: python -m tome_ext.hosts.webui.ui.labels > docs/controls.json"
    assert json.loads(TEMPLATE.read_text(encoding="utf-8")) == template(), said


def test_the_template_is_no_language():
    assert not list((ROOT / "localizations").glob("tome*"))
