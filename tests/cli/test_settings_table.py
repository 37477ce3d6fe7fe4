from __future__ import annotations

import json
from pathlib import Path

from tome_ext.cli import main
from tome_ext.settings import PRESETS, declarations

PAGE = Path(__file__).parents[2] / "docs" / "SETTINGS.md"


def test_the_committed_page_is_what_the_declarations_give(capsys):
    assert main(["settings", "--markdown"]) == 0
    assert PAGE.read_text(encoding="utf-8") == capsys.readouterr().out, (
        "run: .venv/bin/python -m tome_ext settings --markdown > docs/SETTINGS.md"
    )


def test_the_json_schema_declares_every_setting_with_its_limits(capsys):
    assert main(["settings", "--json"]) == 0
    schema = json.loads(capsys.readouterr().out)
    for setting in declarations():
        entry = schema["properties"][setting.name]
        assert entry["default"] == setting.default
        assert entry.get("minimum") == setting.minimum
        assert entry.get("maximum") == setting.maximum
        assert tuple(entry.get("enum", ())) == setting.choices
    assert schema["properties"]["preset"]["enum"] == list(PRESETS)


def test_the_plain_listing_has_every_setting(capsys):
    assert main(["settings"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for setting in declarations():
        assert any(line.startswith(f"{setting.name} = ") and setting.allowed in line for line in lines)
