"""The harness: makes the images of all arms on the same seeds, judges them, and can be killed at any point.

A run's folder holds one picture per image and one line of JSON per judgement. An image that is there is never made
again; one that is there without a line is only judged.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tome_ext.evidence.arms import Arm
from tome_ext.evidence.judge import look
from tome_ext.evidence.outcome import Outcome, outcome, read_outcomes
from tome_ext.evidence.prompts import Prompt
from tome_ext.hosts.diffusers import attach
from tome_ext.settings import Settings


@dataclass(frozen=True)
class Sampling:
    """How images are made: steps, guidance, size in pixels (0: the model's own), and how many at once."""

    steps: int = 20
    guidance: float = 5.0
    size: int = 0
    batch: int = 8


@dataclass(frozen=True)
class Job:
    """One image: an arm, a prompt and the seed of its noise."""

    arm: Arm
    prompt: Prompt
    seed: int

    def key(self, sampling: Sampling) -> str:
        """What names the image in the run's folder: it changes with all that changes the image, but for the model."""
        settings = self.arm.settings.to_json() if self.arm.settings else None
        parts: list[Any] = [self.arm.name, settings, self.prompt.text, self.prompt.groups, self.prompt.clean, self.seed]
        parts += [sampling.steps, sampling.guidance, sampling.size]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def jobs(arms: Sequence[Arm], prompts: Sequence[Prompt], images: int) -> list[Job]:
    """``images`` images of each prompt by each arm; the arms share their seeds."""
    return [
        Job(arm, prompt, 1000 * number + image)
        for number, prompt in enumerate(prompts)
        for arm in arms
        for image in range(images)
    ]


def run(
    pipe: Any,
    todo: Sequence[Job],
    folder: Path,
    sampling: Sampling,
    *,
    model: str,
    judge: Callable[[Prompt, Image.Image], Outcome] | None = None,
    say: Callable[[str], None] = lambda text: None,
    shard: tuple[int, int] = (0, 1),
) -> dict[str, Outcome]:
    """Make and judge what is missing; returns all outcomes by key.

    ``shard`` (i, n): only each n-th job from the i-th on, with a file of results of its own; other shards' results
    are read along. Raises ValueError where ``folder`` holds another ``model``'s run.
    """
    _claim(folder, model)
    judge = judge or judge_scene
    results = folder / f"results-{shard[0]}-of-{shard[1]}.jsonl"
    known = read_results(folder)
    missing = [job for job in todo[shard[0] :: shard[1]] if job.key(sampling) not in known]
    with results.open("a", encoding="utf-8") as file:
        if file.tell():
            file.write("\n")  # so that a line cut off by a kill spoils no other
        for number, part in enumerate(_batches(missing, sampling.batch)):
            for job in part:
                path = picture_path(folder, job.key(sampling))
                if not path.exists():
                    _make(
                        pipe, [j for j in part if not picture_path(folder, j.key(sampling)).exists()], folder, sampling
                    )
                with Image.open(path) as image:
                    found = judge(job.prompt, image.convert("RGB"))
                known[job.key(sampling)] = found
                file.write(
                    json.dumps({"key": job.key(sampling), "arm": job.arm.name, "outcome": found.to_json()}) + "\n"
                )
                file.flush()
            say(f"{min((number + 1) * sampling.batch, len(missing))}/{len(missing)} images")
    return known


def read_results(folder: Path) -> dict[str, Outcome]:
    """All outcomes in a run's folder, by key."""
    known: dict[str, Outcome] = {}
    for path in sorted(folder.glob("results-*.jsonl")):
        known |= read_outcomes(path.read_text(encoding="utf-8").splitlines())
    return known


def judge_scene(prompt: Prompt, image: Image.Image) -> Outcome:
    """The embedded model's judge; other sizes than its own are scaled."""
    from tome_ext.evidence.scenes import SIZE

    if image.size != (SIZE, SIZE):
        image = image.resize((SIZE, SIZE), Image.Resampling.BOX)
    return outcome(prompt, look(np.asarray(image)))


def picture_path(folder: Path, key: str) -> Path:
    """Where an image of a run lies."""
    return folder / "images" / f"{key}.png"


def told(settings: Settings, prompt: Prompt) -> Settings:
    """``settings`` with the prompt's own groups and clean prompt, where it has them."""
    return settings.replace(groups=prompt.groups, clean_prompt=prompt.clean) if prompt.groups else settings


def sample(pipe: Any, arm: Arm, prompt: Prompt, seeds: Sequence[int], sampling: Sampling) -> list[Image.Image]:
    """One image of ``prompt`` per seed. Noise is drawn on the CPU, so that a seed means the same on every device."""
    texts = [prompt.text] * len(seeds)
    words: dict[str, Any] = {"prompt": texts}
    if arm.context is not None:
        words = _own_context(pipe, arm, prompt, len(seeds))
    size = {"width": sampling.size, "height": sampling.size} if sampling.size else {}
    pipe.set_progress_bar_config(disable=True)
    with nullcontext() if arm.settings is None else attach(pipe, told(arm.settings, prompt), texts):
        images: list[Image.Image] = pipe(
            **words,
            num_inference_steps=sampling.steps,
            guidance_scale=sampling.guidance,
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            **size,
        ).images
    return images


def _own_context(pipe: Any, arm: Arm, prompt: Prompt, count: int) -> dict[str, Any]:
    assert arm.context is not None
    context, pooled = arm.context(pipe, prompt)
    embeds = context.expand(count, -1, -1)
    words: dict[str, Any] = {"prompt_embeds": embeds, "negative_prompt_embeds": torch.zeros_like(embeds)}
    if pooled is not None:
        vectors = pooled.expand(count, -1)
        words |= {"pooled_prompt_embeds": vectors, "negative_pooled_prompt_embeds": torch.zeros_like(vectors)}
    return words


def _make(pipe: Any, part: Sequence[Job], folder: Path, sampling: Sampling) -> None:
    """Make the images of one batch, of one arm and prompt, and save each in one move."""
    images = sample(pipe, part[0].arm, part[0].prompt, [job.seed for job in part], sampling)
    for job, image in zip(part, images, strict=True):
        path = picture_path(folder, job.key(sampling))
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        image.save(partial, format="PNG")
        os.replace(partial, path)


def _batches(todo: Iterable[Job], size: int) -> Iterator[list[Job]]:
    """Runs of jobs of one arm and prompt, at most ``size`` long."""
    part: list[Job] = []
    for job in todo:
        if part and (len(part) == size or (job.arm, job.prompt) != (part[0].arm, part[0].prompt)):
            yield part
            part = []
        part.append(job)
    if part:
        yield part


def _claim(folder: Path, model: str) -> None:
    """Note whose images the folder holds, so that two models are never mixed."""
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "model.txt"
    if not note.exists():
        partial = folder / f"model-{os.getpid()}.partial"
        partial.write_text(model, encoding="utf-8")
        os.replace(partial, note)
    held = note.read_text(encoding="utf-8")
    if held != model:
        raise ValueError(f"{folder} holds images of {held!r}, not of {model!r}: name another folder")
