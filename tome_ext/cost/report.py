"""The figures of docs/COST.md, all made here: tables between markers in the page, and a plot."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tome_ext.cost.count import GIB, Cost, Run, count
from tome_ext.cost.estimate import SIZES, estimate
from tome_ext.cost.models import Architecture, architecture
from tome_ext.cost.table import table
from tome_ext.settings import Settings, preset

PRESETS = ("fast", "balanced", "paper", "reference")
GROWTH: dict[str, Sequence[int]] = {
    "objects": range(1, 9),
    "batch": range(1, 9),
    "steps": range(10, 51, 10),
    "size": (512, 768, 1024, 1280, 1536),
}
# Each shortcut alone, and what the page says of it.
SHORTCUTS: dict[str, dict[str, Any]] = {
    "`paper`, nothing shortened": {},
    "two iterations": {"iterations": 2},
    "one iteration": {"iterations": 1},
    "every other step": {"every": 2},
    "losses at 3/4 of the size": {"resolution": 0.75},
    "losses at half the size": {"resolution": 0.5},
    "losses at a quarter of the size": {"resolution": 0.25},
    "maps of the middle block": {"layers": "middle"},
    "no binding loss": {"binding_weight": 0.0},
    "no entropy loss": {"entropy_weight": 0.0},
}


def write_table(path: Path, names: Iterable[str]) -> None:
    """Write the coefficients that :mod:`tome_ext.cost.estimate` reads; takes a few minutes."""
    made = {name: table(architecture(name)) for name in names}
    path.write_text(json.dumps(made, separators=(",", ":")).replace('"sd15"', '\n"sd15"') + "\n", encoding="utf-8")


def write_page(page: Path, names: Iterable[str]) -> None:
    """Renew the generated tables of ``page``, and the plot beside it."""
    models = [architecture(name) for name in names]
    text = page.read_text(encoding="utf-8")
    for name, made in (
        ("presets", "".join(presets_table(model) for model in models)),
        ("shortcuts", shortcuts_table()),
        ("growth", growth_table()),
    ):
        marker = rf"(<!-- {name}: generated -->\n).*?(<!-- end -->)"
        text = re.sub(marker, lambda match, made=made: f"{match[1]}\n{made}\n{match[2]}", text, flags=re.DOTALL)  # type: ignore[misc]
    page.write_text(text, encoding="utf-8")
    plot(page.parent / "cost-growth.svg")


def presets_table(model: Architecture) -> str:
    """Every preset on ``model``, counted: fastest, and with the smallest memory."""
    size = SIZES[model.name]
    run = Run(width=size, height=size)
    rows = []
    for name in PRESETS:
        plain, small = (count(model, preset(name).replace(checkpointing=mode), run) for mode in ("auto", "on"))
        passes = ", ".join(f"{number} {purpose}" for purpose, number in plain.rows.items()) or "none"
        again = _cells(small) if plain.refined_steps else ("–", "–")
        rows.append((f"`{name}`", f"{plain.refined_steps} of {run.steps}", passes, *_cells(plain), *again))
    head = ("preset", "refined steps", "UNet rows in each", "FLOPs", "kept", "FLOPs, checkpointed", "kept")
    return f"\n**{model.name}**, {size} x {size}:\n\n" + _markdown(head, rows)


def shortcuts_table() -> str:
    """What each shortcut alone saves of ``paper`` on SDXL."""
    rows = []
    for name, changes in SHORTCUTS.items():
        settings = preset("paper").replace(**changes)
        rows.append((name, f"{estimate(settings):.3f}", f"{_saved(settings):.0%}"))
    return _markdown(("shortcut", "FLOPs", "of the extra cost saved"), rows)


def _saved(settings: Settings) -> float:
    return 1 - (estimate(settings) - 1) / (estimate(preset("paper")) - 1)


def growth_table() -> str:
    """The ratio of every preset on SDXL as one figure of the run grows."""
    parts = []
    for name, values in GROWTH.items():
        rows = [(f"{value}", *(f"{_grown(chosen, name, value):.3f}" for chosen in PRESETS)) for value in values]
        parts.append(_markdown((name, *(f"`{chosen}`" for chosen in PRESETS)), rows))
    return "\n".join(parts)


def plot(path: Path) -> None:
    """Draw the growth as an SVG of four panels, with a logarithmic axis of ratios; needs matplotlib."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "tome"  # so that the same figures make the same file
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(GROWTH), figsize=(13, 3.2), sharey=True, layout="constrained")
    for panel, (name, values) in zip(panels, GROWTH.items(), strict=True):
        for chosen in PRESETS:
            panel.plot(list(values), [_grown(chosen, name, value) for value in values], marker="o", label=chosen)
        panel.set_xlabel({"size": "width = height in pixels", "batch": "pictures at once"}.get(name, name))
        panel.set_yscale("log", base=2)
        panel.yaxis.set_major_formatter("{x:g}")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("FLOPs, in plain sampling's")
    panels[0].legend()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _grown(chosen: str, name: str, value: int) -> float:
    changed: dict[str, Any] = {"width": value, "height": value} if name == "size" else {name: value}
    return estimate(preset(chosen), "sdxl", **changed)


def _cells(cost: Cost) -> tuple[str, str]:
    return f"{cost.ratio:.3f}", f"{cost.peak_saved / GIB:.2f} GiB"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
