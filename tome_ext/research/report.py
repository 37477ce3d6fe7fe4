"""A run's figures: JSON, a table in Markdown, plots, and a grid of pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from tome_ext.research.benchmark import Job, Sampling, Scores, open_picture, picture_path
from tome_ext.research.files import replacing, write_text
from tome_ext.research.judging.outcome import Outcome
from tome_ext.research.statistics import Counts, Interval, paired_shares, wilson

FIGURES = {
    "right": "images with everything asked for, and every attribute where it belongs",
    "presence": "things asked for that are there",
    "binding": "of the things that are there, those with exactly the attributes asked for",
    "leakage": "of the things that are there, those that show another one's attribute",
    "swaps": "images in which two things have exchanged their attributes",
}
INTERVALS = (
    "95 % intervals: Wilson's for shares, which takes every image and thing as independent of the others; for "
    "differences the paired bootstrap by prompt, which does not."
)
_GAP, _INK, _PAPER = 6, (20, 20, 20), (255, 255, 255)


@dataclass(frozen=True)
class Row:
    """The figures of one arm in one family; ``gains`` are their paired differences to the first arm, empty for it."""

    family: str
    arm: str
    images: int
    figures: dict[str, Interval]
    gains: dict[str, Interval]


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
                gains = {} if arm == arms[0] else _gains(of_arm[arms[0]], of_arm[arm])
                rows.append(Row(family, arm, len(of_arm[arm]), figures(list(of_arm[arm].values())), gains))
    return rows


def _outcome(scores: Scores) -> Outcome:
    return Outcome(**{name: int(value) for name, value in scores.items()})


def figures(outcomes: Sequence[Outcome]) -> dict[str, Interval]:
    """The figures of some images, see FIGURES."""
    counted = {name: _counts(outcomes, name) for name in FIGURES}
    return {name: wilson(sum(successes), int(sum(trials))) for name, (successes, trials) in counted.items()}


def _counts(outcomes: Sequence[Outcome], name: str) -> Counts:
    """Of each image, how often what the figure counts is there, and how often it could be."""
    successes, trials = zip(*(_count(one, name) for one in outcomes), strict=True)
    return successes, trials


def _count(one: Outcome, name: str) -> tuple[float, float]:
    return {
        "right": (one.right, 1),
        "presence": (one.present, one.asked),
        "binding": (one.bound, one.present),
        "leakage": (one.leaked, one.present),
        "swaps": (one.swapped > 0, 1),
    }[name]


def _gains(base: Mapping[tuple[str, int], Outcome], arm: Mapping[tuple[str, int], Outcome]) -> dict[str, Interval]:
    shared = [key for key in base if key in arm]
    if not shared:
        return {}
    first, second = ([side[key] for key in shared] for side in (base, arm))
    prompts = [prompt for prompt, _ in shared]
    return {name: paired_shares(_counts(first, name), _counts(second, name), prompts) for name in FIGURES}


def table(rows: Sequence[Row]) -> str:
    """The figures in Markdown, with 95 % intervals."""
    lines = _markdown([(row, [row.figures[name].percent() for name in FIGURES]) for row in rows])
    compared = [(row, [row.gains[name].difference() for name in FIGURES]) for row in rows if row.gains]
    if compared:
        lines += ["", f"Differences to {rows[0].arm}, in points, image by image:", "", *_markdown(compared)]
    explained = [f"- **{name}**: {text}" for name, text in FIGURES.items()]
    return "\n".join([*lines, "", *explained, "", INTERVALS, ""])


def _markdown(rows: Sequence[tuple[Row, Sequence[str]]]) -> list[str]:
    lines = [f"| family | arm | images | {' | '.join(FIGURES)} |", "|" + "---|" * (len(FIGURES) + 3)]
    return lines + [f"| {row.family} | {row.arm} | {row.images} | {' | '.join(cells)} |" for row, cells in rows]


def write_report(
    folder: Path, title: str, todo: Sequence[Job], known: Mapping[str, Scores], sampling: Sampling, **facts: Any
) -> list[Row]:
    """Write ``report.json``, ``report.md``, ``grid.png`` and, where matplotlib is installed, ``plot.png``."""
    rows = tally(todo, known, sampling)
    facts["images"] = f"{sum(job.key(sampling) in known for job in todo)} of {len(todo)}"
    data = {"title": title, "sampling": asdict(sampling), **facts, "rows": [asdict(row) for row in rows]}
    head = f"# {title}\n\n" + "".join(f"{name}: {value}  \n" for name, value in facts.items())
    write_text(folder / "report.json", json.dumps(data, indent=1))
    write_text(folder / "report.md", f"{head}\n{table(rows)}")
    sheet = grid(folder, todo, sampling)
    if sheet is not None:
        with replacing(folder / "grid.png") as path:
            sheet.save(path, format="PNG")
    with replacing(folder / "plot.png") as path:
        plot(path, title, rows)
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
    figure.savefig(path, dpi=110, format="png")
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
    return sheet([(key[1], [rows[key][arm] for arm in arms]) for key in chosen], arms)


def sheet(rows: Sequence[tuple[str, Sequence[Path]]], labels: Sequence[str]) -> Image.Image:
    """Rows of pictures of one size, each with a text above it, under the columns' ``labels``."""
    width, height = open_picture(rows[0][1][0]).size
    font = ImageFont.load_default()
    line = 16
    made = Image.new(
        "RGB", (len(labels) * (width + _GAP) + _GAP, line + len(rows) * (height + line + _GAP) + _GAP), _PAPER
    )
    draw = ImageDraw.Draw(made)
    for column, label in enumerate(labels):
        draw.text((_GAP + column * (width + _GAP), 2), label, fill=_INK, font=font)
    for number, (text, paths) in enumerate(rows):
        top = line + number * (height + line + _GAP)
        draw.text((_GAP, top + 2), text, fill=_INK, font=font)
        for column, path in enumerate(paths):
            made.paste(open_picture(path), (_GAP + column * (width + _GAP), top + line))
    return made
