"""A run's figures: JSON, a table in Markdown, plots, and a grid of pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from tome_ext.evidence.benchmark import Job, Sampling, Scores, picture_path
from tome_ext.evidence.outcome import Outcome
from tome_ext.evidence.statistics import Interval, paired_bootstrap, wilson

FIGURES = {
    "right": "images with everything asked for, and every attribute where it belongs",
    "presence": "things asked for that are there",
    "binding": "of the things that are there, those with all their attributes and no other's",
    "leakage": "of the things that are there, those that show another one's attribute",
    "swaps": "images in which two things have exchanged their attributes",
}
_GAP, _INK, _PAPER = 6, (20, 20, 20), (255, 255, 255)


@dataclass(frozen=True)
class Row:
    """The figures of one arm in one family; ``gain`` is the paired difference of ``right`` to the first arm."""

    family: str
    arm: str
    images: int
    figures: dict[str, Interval]
    gain: Interval | None


def tally(todo: Sequence[Job], known: Mapping[str, Scores], sampling: Sampling) -> list[Row]:
    """The figures of every family and arm, and of all families together; unfinished images are left out."""
    done = [(job, _outcome(known[key])) for job in todo if (key := job.key(sampling)) in known]
    arms = list(dict.fromkeys(job.arm.name for job in todo))
    names = ["all", *dict.fromkeys(job.prompt.family for job in todo)]
    rows = []
    for family in names:
        of_arm: dict[str, dict[tuple[str, int], Outcome]] = {arm: {} for arm in arms}
        for job, found in done:
            if family in ("all", job.prompt.family):
                of_arm[job.arm.name][job.prompt.family + job.prompt.text, job.seed] = found
        for arm in arms:
            if of_arm[arm]:
                gain = None if arm == arms[0] else _gain(of_arm[arms[0]], of_arm[arm])
                rows.append(Row(family, arm, len(of_arm[arm]), figures(list(of_arm[arm].values())), gain))
    return rows


def _outcome(scores: Scores) -> Outcome:
    return Outcome(**{name: int(value) for name, value in scores.items()})


def figures(outcomes: Sequence[Outcome]) -> dict[str, Interval]:
    """The figures of some images, see FIGURES."""
    asked = sum(one.asked for one in outcomes)
    present = sum(one.present for one in outcomes)
    return {
        "right": wilson(sum(one.right for one in outcomes), len(outcomes)),
        "presence": wilson(present, asked),
        "binding": wilson(sum(one.bound for one in outcomes), present),
        "leakage": wilson(sum(one.leaked for one in outcomes), present),
        "swaps": wilson(sum(one.swapped > 0 for one in outcomes), len(outcomes)),
    }


def _gain(base: Mapping[tuple[str, int], Outcome], arm: Mapping[tuple[str, int], Outcome]) -> Interval | None:
    shared = [key for key in base if key in arm]
    if not shared:
        return None
    first, second = ([float(side[key].right) for key in shared] for side in (base, arm))
    return paired_bootstrap(first, second, [prompt for prompt, _ in shared])


def table(rows: Sequence[Row]) -> str:
    """The figures in Markdown, with 95 % intervals."""
    base = rows[0].arm if rows else ""
    lines = [f"| family | arm | images | {' | '.join(FIGURES)} | right, against {base} |"]
    lines.append("|" + "---|" * (len(FIGURES) + 4))
    for row in rows:
        cells = [row.figures[name].percent() for name in FIGURES]
        gain = "" if row.gain is None else _signed(row.gain)
        lines.append(f"| {row.family} | {row.arm} | {row.images} | {' | '.join(cells)} | {gain} |")
    explained = [f"- **{name}**: {text}" for name, text in FIGURES.items()]
    return "\n".join([*lines, "", *explained, "", "Intervals: Wilson, and paired bootstrap by prompt; 95 %.", ""])


def _signed(gain: Interval) -> str:
    return f"{100 * gain.value:+.0f} ({100 * gain.low:+.0f} … {100 * gain.high:+.0f})"


def write_report(
    folder: Path, title: str, todo: Sequence[Job], known: Mapping[str, Scores], sampling: Sampling, **told: Any
) -> list[Row]:
    """Write ``report.json``, ``report.md``, ``grid.png`` and, where matplotlib is installed, ``plot.png``."""
    rows = tally(todo, known, sampling)
    data = {"title": title, "sampling": asdict(sampling), **told, "rows": [asdict(row) for row in rows]}
    (folder / "report.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
    head = f"# {title}\n\n" + "".join(f"{name}: {value}  \n" for name, value in told.items())
    (folder / "report.md").write_text(f"{head}\n{table(rows)}", encoding="utf-8")
    sheet = grid(folder, todo, sampling)
    if sheet is not None:
        sheet.save(folder / "grid.png")
    plot(folder / "plot.png", title, rows)
    return rows


def plot(path: Path, title: str, rows: Sequence[Row]) -> bool:
    """Bars with intervals, one group for each family; False where matplotlib is missing or there is nothing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    if not rows:
        return False
    arms = list(dict.fromkeys(row.arm for row in rows))
    names = list(dict.fromkeys(row.family for row in rows))
    shown = ("right", "presence", "binding", "leakage")
    figure = Figure(figsize=(2 + 1.1 * len(names), 2.6 * len(shown)), layout="constrained")
    for axes, name in zip(figure.subplots(len(shown), 1, sharex=True), shown, strict=True):
        for number, arm in enumerate(arms):
            own = [row for row in rows if row.arm == arm and not math.isnan(row.figures[name].value)]
            at = [names.index(row.family) + (number + 0.5) / (len(arms) + 1) - 0.5 for row in own]
            found = [row.figures[name] for row in own]
            errors = [[one.value - one.low for one in found], [one.high - one.value for one in found]]
            axes.bar(at, [one.value for one in found], 0.9 / (len(arms) + 1), yerr=errors, label=arm, capsize=2)
        axes.set_ylabel(name)
        axes.set_ylim(0, 1)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    figure.suptitle(title)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=min(4, len(arms)))
    figure.savefig(path, dpi=110)
    return True


def grid(folder: Path, todo: Sequence[Job], sampling: Sampling, most: int = 12) -> Image.Image | None:
    """Pictures of all arms side by side, a row for a prompt and seed, spread over the families."""
    arms = list(dict.fromkeys(job.arm.name for job in todo))
    rows: dict[tuple[str, str, int], dict[str, Path]] = {}
    for job in todo:
        path = picture_path(folder, job.key(sampling))
        if path.exists():
            rows.setdefault((job.prompt.family, job.prompt.text, job.seed), {})[job.arm.name] = path
    whole = [key for key, paths in rows.items() if len(paths) == len(arms)]
    if not whole:
        return None
    ranks: dict[str, int] = {}
    order = []
    for key in whole:
        ranks[key[0]] = ranks.get(key[0], 0) + 1
        order.append((ranks[key[0]], key))
    chosen = [key for _, key in sorted(order, key=lambda entry: entry[0])][:most]
    return _sheet([(key[1], [rows[key][arm] for arm in arms]) for key in chosen], arms)


def _sheet(rows: Sequence[tuple[str, Sequence[Path]]], labels: Sequence[str]) -> Image.Image:
    with Image.open(rows[0][1][0]) as first:
        width, height = first.size
    font = ImageFont.load_default()
    line = 16
    sheet = Image.new(
        "RGB", (len(labels) * (width + _GAP) + _GAP, line + len(rows) * (height + line + _GAP) + _GAP), _PAPER
    )
    draw = ImageDraw.Draw(sheet)
    for column, label in enumerate(labels):
        draw.text((_GAP + column * (width + _GAP), 2), label, fill=_INK, font=font)
    for number, (text, paths) in enumerate(rows):
        top = line + number * (height + line + _GAP)
        draw.text((_GAP, top + 2), text, fill=_INK, font=font)
        for column, path in enumerate(paths):
            with Image.open(path) as image:
                sheet.paste(image.convert("RGB"), (_GAP + column * (width + _GAP), top + line))
    return sheet
