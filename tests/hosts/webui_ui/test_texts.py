from __future__ import annotations

import json
from pathlib import Path

from tome_ext.hosts.webui.texts import template

TEMPLATE = Path(__file__).parents[3] / "localizations" / "tome-template.json"


def test_the_translators_template_holds_what_the_controls_say():
    said = "run: python -m tome_ext.hosts.webui.texts > localizations/tome-template.json"
    assert json.loads(TEMPLATE.read_text(encoding="utf-8")) == template(), said
