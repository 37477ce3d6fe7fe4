from __future__ import annotations

from pathlib import Path

import pytest

from tome_ext.cost import report
from tome_ext.cost.estimate import estimate
from tome_ext.settings import preset

PAGE = Path(__file__).parents[2] / "docs" / "COST.md"


def test_the_committed_page_has_the_tables_that_the_settings_give():
    text = PAGE.read_text(encoding="utf-8")
    assert report.growth_table() in text, "run: python -m tome_ext cost --write-docs"
    assert report.shortcuts_table() in text, "run: python -m tome_ext cost --write-docs"
    counted = text.split("<!-- presets: generated -->")[1].split("<!-- end -->")[0]
    for name in report.PRESETS:
        for model, size in (("sdxl", 1024), ("sd15", 512)):
            section = counted.split(f"**{model}**, {size} x {size}")[1].split("**")[0]
            (row,) = [line for line in section.splitlines() if line.startswith(f"| `{name}` |")]
            assert float(row.split("|")[4]) == pytest.approx(estimate(preset(name), model), abs=0.002)


def test_the_page_is_renewed_between_its_markers_alone(tmp_path, monkeypatch):
    page = tmp_path / "COST.md"
    page.write_text("before\n<!-- growth: generated -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(report, "plot", lambda path: path.write_text("drawn"))
    report.write_page(page, [])
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- growth: generated -->\n")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "old" not in text
    assert report.growth_table() in text
    assert (tmp_path / "cost-growth.svg").exists()
