"""A page of a run's pictures and figures: one HTML file beside them, with nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from tome_ext.research.benchmark import Job, Sampling, Scores, picture_path
from tome_ext.research.files import write_text

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .6rem; text-align: left; vertical-align: top; }
.figures td, .figures th { border-bottom: 1px solid #8884; }
.pictures td { width: 25%; }
.pictures div { display: flex; flex-wrap: wrap; gap: 4px; }
.pictures figure { margin: 0; width: calc(50% - 2px); }
.pictures img { width: 100%; display: block; }
figcaption { font-size: 12px; opacity: .7; }
"""


def write_gallery(
    folder: Path,
    title: str,
    facts: Mapping[str, str],
    lines: Sequence[str],
    todo: Sequence[Job],
    known: Mapping[str, Scores],
    sampling: Sampling,
) -> Path:
    """Write ``index.html``: facts, the figures of Markdown table ``lines``, and each prompt's pictures by arm.

    Pictures that are missing are left out; prompts, names and facts are escaped.
    """
    told = "".join(f"<li>{escape(name)}: {escape(value)}</li>" for name, value in facts.items())
    arms = list(dict.fromkeys(job.arm.name for job in todo))
    head = "".join(f"<th>{escape(name)}</th>" for name in arms)
    rows = []
    for prompt in dict.fromkeys(job.prompt for job in todo):
        own = [job for job in todo if job.prompt == prompt]
        cells = "".join(
            f"<td><div>{_pictures(folder, [job for job in own if job.arm.name == name], known, sampling)}</div></td>"
            for name in arms
        )
        rows.append(f'<tr><th colspan="{len(arms)}">{escape(prompt.text)}</th></tr>\n<tr>{cells}</tr>')
    page = (
        f'<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{_STYLE}</style>\n<h1>{escape(title)}</h1>\n'
        f'<ul>{told}</ul>\n{_figures(lines)}\n<table class="pictures">\n<tr>{head}</tr>\n' + "\n".join(rows)
    )
    write_text(folder / "index.html", page + "\n</table>\n")
    return folder / "index.html"


def _pictures(folder: Path, jobs: Sequence[Job], known: Mapping[str, Scores], sampling: Sampling) -> str:
    made = []
    for job in jobs:
        path = picture_path(folder, job.key(sampling))
        if not path.exists():
            continue
        score = known.get(job.key(sampling), {}).get("blip")
        caption = f"seed {job.seed}" + ("" if score is None else f", {score:.2f}")
        made.append(
            f'<figure><img loading="lazy" src="{path.relative_to(folder).as_posix()}" alt="{escape(job.prompt.text)}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    return "".join(made)


def _figures(lines: Sequence[str]) -> str:
    rows = [line.strip().strip("|").split("|") for line in lines if line.startswith("|") and "---" not in line]
    if not rows:
        return ""
    made = []
    for number, cells in enumerate(rows):
        tag = "td" if number else "th"
        made.append("<tr>" + "".join(f"<{tag}>{escape(cell.strip())}</{tag}>" for cell in cells) + "</tr>")
    return '<table class="figures">\n' + "\n".join(made) + "\n</table>"
