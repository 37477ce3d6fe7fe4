"""The report of benchmarks that give each image one number."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tome_ext.research.benchmark import Job, Sampling, Scores
from tome_ext.research.files import write_text
from tome_ext.research.statistics import paired_bootstrap


def write_scored(
    folder: Path, title: str, todo: Sequence[Job], known: Mapping[str, Scores], sampling: Sampling, score: str
) -> list[str]:
    """Write ``report.json`` and ``report.md``: each arm's mean, and its paired difference to the first arm.

    The intervals are bootstrapped by prompt, 95 %. Returns the table's lines.
    """
    found: dict[str, dict[tuple[str, int], float]] = {}
    for job in todo:
        key = job.key(sampling)
        if key in known:
            found.setdefault(job.arm.name, {})[job.prompt.text, job.seed] = known[key][score]
    first = todo[0].arm.name if todo else ""
    lines = [f"# {title}", "", f"| arm | images | mean | against {first} |", "|---|---|---|---|"]
    rows = []
    base = found.get(first, {})
    for arm, values in found.items():
        mean = sum(values.values()) / len(values)
        shared = [key for key in base if key in values]
        gain = None
        if values is not base and shared:
            prompts = [prompt for prompt, _ in shared]
            gain = paired_bootstrap([base[key] for key in shared], [values[key] for key in shared], prompts)
        rows.append({"arm": arm, "images": len(values), "mean": mean, "gain": asdict(gain) if gain else None})
        difference = "" if gain is None else f"{gain.value:+.4g} ({gain.low:+.4g} … {gain.high:+.4g})"
        lines.append(f"| {arm} | {len(values)} | {mean:.4f} | {difference} |")
    write_text(
        folder / "report.json", json.dumps({"title": title, "sampling": asdict(sampling), "rows": rows}, indent=1)
    )
    write_text(folder / "report.md", "\n".join(lines) + "\n")
    return lines
