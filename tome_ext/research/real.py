"""``evidence real``: does it help a checkpoint that people use? Pictures, BLIP-VQA's figures, and a page of both."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from tome_ext.cost.estimate import estimate
from tome_ext.research.arms import PLAIN, Arm
from tome_ext.research.benchmark import Job, Judge, Maker, Sampling, Scores, picture_path
from tome_ext.research.files import write_text
from tome_ext.research.gallery import write_gallery
from tome_ext.research.judging.blip import chunker
from tome_ext.research.statistics import Interval, paired_bootstrap
from tome_ext.research.world.prompts import Prompt
from tome_ext.settings import PRESETS, preset

DEFAULT_ARMS = ("plain", "fast", "balanced")
_FEW, _MORE = 2, 6  # steps of the two pictures that are timed
_SAVED_AS_PNG = 0.1  # seconds


def arms_named(names: Sequence[str]) -> tuple[Arm, ...]:
    """Plain sampling, and presets as a user gets them; ValueError for an unknown name. Plain always comes first."""
    chosen = [name for name in names or DEFAULT_ARMS if name != PLAIN.name]
    for name in chosen:
        if name not in PRESETS:
            raise ValueError(f"there is no arm {name!r}; there are {', '.join((PLAIN.name, *PRESETS))}")
    return (PLAIN, *(Arm(name, preset(name)) for name in dict.fromkeys(chosen)))


def forecast(
    maker: Maker, todo: Sequence[Job], sampling: Sampling, clock: Callable[[], float] = time.perf_counter
) -> float:
    """About how many seconds ``todo`` will take: two short plain pictures are timed, the rest is counted.

    ``maker`` makes three pictures that are thrown away, the first of them to load and compile what is needed.
    """
    prompt = todo[0].prompt
    seconds = {}
    for steps in (_FEW, _FEW, _MORE):
        begin = clock()
        maker(PLAIN, prompt, [0], replace(sampling, steps=steps))
        seconds[steps] = clock() - begin
    step = max(0.0, (seconds[_MORE] - seconds[_FEW]) / (_MORE - _FEW))
    around = max(0.0, seconds[_FEW] - _FEW * step) + _SAVED_AS_PNG
    costs = {
        arm: 1.0 if arm.settings is None else estimate(arm.settings, steps=sampling.steps)
        for arm in {job.arm for job in todo}
    }
    return sum(around + sampling.steps * step * costs[job.arm] for job in todo)


def duration(seconds: float) -> str:
    """A length of time as people say it: "2 h 05 min", "12 min", "under a minute"."""
    minutes = round(seconds / 60)
    if not minutes:
        return "under a minute"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def judge_with(questions: Any | None) -> Judge:
    """BLIP's score of a picture; without a BLIP none, and a later run judges it."""

    def judge(prompt: Prompt, image: Image.Image) -> Scores | None:
        return None if questions is None else {"blip": questions.score(image, prompt.text)}

    return judge


def figures(todo: Sequence[Job], known: Mapping[str, Scores], sampling: Sampling) -> list[str]:
    """A Markdown table: each arm's mean score by family and over all, and its paired difference to plain sampling.

    Intervals are bootstrapped by prompt, 95 %. Empty where nothing is scored.
    """
    lines = []
    families = list(dict.fromkeys(job.prompt.family for job in todo))
    for family in (*families, "all"):
        part = [job for job in todo if family in (job.prompt.family, "all")]
        found: dict[str, dict[tuple[str, int], float]] = {}
        for job in part:
            scores = known.get(job.key(sampling), {})
            if "blip" in scores:
                found.setdefault(job.arm.name, {})[job.prompt.text, job.seed] = scores["blip"]
        base = found.get(PLAIN.name, {})
        for name, values in found.items():
            gain = None if name == PLAIN.name else _gain(base, values)
            told = "" if gain is None else f"{gain.value:+.3f} ({gain.low:+.3f} … {gain.high:+.3f})"
            lines.append(f"| {family} | {name} | {len(values)} | {sum(values.values()) / len(values):.3f} | {told} |")
    head = ["| family | arm | images | mean | against plain |", "|---|---|---|---|---|"]
    return [*head, *lines] if lines else []


def _gain(base: Mapping[tuple[str, int], float], values: Mapping[tuple[str, int], float]) -> Interval | None:
    shared = [key for key in base if key in values]
    if not shared:
        return None
    prompts = [prompt for prompt, _ in shared]
    return paired_bootstrap([base[key] for key in shared], [values[key] for key in shared], prompts)


def write_real(
    folder: Path,
    todo: Sequence[Job],
    known: Mapping[str, Scores],
    sampling: Sampling,
    made_by: Mapping[str, str],
) -> tuple[list[str], Path]:
    """Write ``report.md`` and ``index.html``; the figures' lines and the page's path."""
    scored = any("blip" in scores for scores in known.values())
    facts = {
        "model": made_by["model"],
        "images": f"{sum(picture_path(folder, job.key(sampling)).exists() for job in todo)} of {len(todo)}",
        "sampling": f"{sampling.steps} steps, guidance {sampling.guidance:g}",
        "score": f"BLIP-VQA, probability of yes over the prompt's parts ({chunker()})" if scored else "none",
    }
    lines = figures(todo, known, sampling)
    head = "".join(f"- {name}: {value}\n" for name, value in facts.items())
    write_text(folder / "report.md", f"# Plain sampling and ToMe\n\n{head}\n" + "\n".join(lines) + "\n")
    return lines, write_gallery(folder, "Plain sampling and ToMe", facts, lines, todo, known, sampling)
