"""Comparisons on the miniature: every variant on the same prompts and seeds, judged, kept line by line, tabulated."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from tome_ext.research.arms import Arm
from tome_ext.research.benchmark import Job, Sampling, Scores, read_results
from tome_ext.research.judging.outcome import outcome
from tome_ext.research.miniature import product
from tome_ext.research.miniature.prompt_text import PromptText
from tome_ext.research.miniature.sampling import Plan, confuses, draw, noise, ranked_noise
from tome_ext.research.miniature.variants import Variant
from tome_ext.research.miniature.world.drawing import Array
from tome_ext.research.miniature.world.judge import look
from tome_ext.research.report import Row, table, tally
from tome_ext.research.world.prompts import Prompt

Compared = Variant | Arm


@dataclass(frozen=True)
class Comparison:
    """What is compared: prompts, ``images`` of each from the seed ``first`` on, and how they are sampled."""

    prompts: Sequence[Prompt]
    images: int
    sampling: Sampling
    first: int = 0

    def jobs(self, name: str) -> list[Job]:
        """The images of one variant; all variants share their seeds."""
        return [
            Job(Arm(name), prompt, self.first + 1000 * number + image)
            for number, prompt in enumerate(self.prompts)
            for image in range(self.images)
        ]


def run(
    pipe: Any,
    compared: Sequence[Compared],
    comparison: Comparison,
    folder: Path,
    say: Callable[[str], None] = print,
) -> list[Row]:
    """Make and judge what ``folder`` lacks, and write its table; the first of ``compared`` is the base."""
    folder.mkdir(parents=True, exist_ok=True)
    known = read_results(folder)
    texts: dict[str, PromptText] = {}
    todo = []
    for one in compared:
        jobs = comparison.jobs(one.name)
        todo += jobs
        missing = [job for job in jobs if job.key(comparison.sampling) not in known]
        if missing:
            pictures = _pictures(pipe, one, missing, comparison.sampling, texts)
            known |= _keep(folder, missing, pictures, comparison.sampling)
            write_sheet(folder / f"{one.name.replace(' ', '-').replace(',', '')}.png", pictures)
        rows = tally([*comparison.jobs(compared[0].name), *jobs], known, comparison.sampling)
        say(_line(rows, one.name))
    rows = tally(todo, known, comparison.sampling)
    told = json.dumps({**asdict(comparison.sampling), "prompts": len(comparison.prompts), "images": comparison.images})
    (folder / "report.md").write_text(f"{told}\n\n{table(rows)}", encoding="utf-8")
    return rows


def _pictures(
    pipe: Any, one: Compared, jobs: Sequence[Job], sampling: Sampling, texts: dict[str, PromptText]
) -> list[Array]:
    if isinstance(one, Arm):
        found: dict[tuple[str, int], Array] = {}
        for prompt in dict.fromkeys(job.prompt for job in jobs):
            seeds = [job.seed for job in jobs if job.prompt == prompt]
            made = product.sample(pipe, one, prompt, seeds, sampling)
            found |= {(prompt.text, seed): picture for seed, picture in zip(seeds, made, strict=True)}
        return [found[job.prompt.text, job.seed] for job in jobs]
    for job in jobs:
        if job.prompt.text not in texts:
            texts[job.prompt.text] = PromptText(pipe, job.prompt)
    asked = dict.fromkeys(job.prompt.text for job in jobs)
    plans = {text: one.plan(texts[text]) for text in asked}
    own = replace(sampling, guidance=sampling.guidance * one.guidance, steps=round(sampling.steps * one.steps))
    chosen = [plans[job.prompt.text] for job in jobs]
    if one.candidates == 1:
        latents = [noise(pipe, job.seed) for job in jobs]
    else:
        pairs = zip(jobs, chosen, strict=True)
        latents = [ranked_noise(pipe, plan, job.seed, one.candidates, own) for job, plan in pairs]
    if one.unless is not None:
        first = {text: one.unless(texts[text]) for text in asked}
        chosen = _where_confused(pipe, [first[job.prompt.text] for job in jobs], chosen, latents, own)
    return draw(pipe, chosen, latents, own)


def _where_confused(
    pipe: Any, first: Sequence[Plan], then: Sequence[Plan], latents: Sequence[Tensor], sampling: Sampling
) -> list[Plan]:
    """Each image's ``first`` plan, or the other one where the maps of the first step confuse things."""
    found: list[Plan] = []
    for start in range(0, len(first), sampling.batch):
        part = slice(start, start + sampling.batch)
        confused = confuses(pipe, first[part], torch.cat(list(latents[part])), sampling)
        found += [b if is_confused else a for a, b, is_confused in zip(first[part], then[part], confused, strict=True)]
    return found


def _keep(folder: Path, jobs: Sequence[Job], pictures: Sequence[Array], sampling: Sampling) -> dict[str, Scores]:
    found: dict[str, Scores] = {}
    with (folder / "results-0-of-1.jsonl").open("a", encoding="utf-8") as file:
        for job, picture in zip(jobs, pictures, strict=True):
            key = job.key(sampling)
            found[key] = outcome(job.prompt, look(picture)).to_json()
            told = {"key": key, "arm": job.arm.name, "prompt": job.prompt.text, "seed": job.seed}
            file.write(json.dumps({**told, "scores": found[key]}) + "\n")
    return found


def _line(rows: Sequence[Row], name: str) -> str:
    """A variant's figures in one line, all families together."""
    row = next(row for row in rows if row.arm == name and row.family == "all")
    told = [f"{figure} {value.percent()}" for figure, value in row.figures.items()]
    told += [f"Δ{figure} {row.gains[figure].difference()}" for figure in ("right", "binding") if row.gains]
    return f"{name} [{row.images}]: {', '.join(told)}"


def write_sheet(path: Path, pictures: Sequence[Array], columns: int = 8, rows: int = 8) -> None:
    """Some of the pictures as one, evenly chosen."""
    step = max(1, len(pictures) // (columns * rows))
    chosen = [Image.fromarray(picture) for picture in pictures[::step][: columns * rows]]
    width, height = chosen[0].size
    sheet = Image.new("RGB", (columns * width, rows * height), (255, 255, 255))
    for number, picture in enumerate(chosen):
        sheet.paste(picture, (number % columns * width, number // columns * height))
    sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.NEAREST).save(path)


def threads(count: int) -> None:
    """Limit PyTorch's threads; 0 leaves them."""
    if count:
        torch.set_num_threads(count)
