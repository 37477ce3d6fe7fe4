"""The harness: makes the images of all arms on the same seeds, judges them, and can be killed at any point.

A run's folder holds one picture per image and one line of JSON per judgement. An image that is there is never made
again; one that is there without a line is only judged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tome_ext.research.arms import Arm, settings_for
from tome_ext.research.files import lock, read_json, replacing
from tome_ext.research.judging.judge import look
from tome_ext.research.judging.outcome import outcome
from tome_ext.research.world.prompts import Prompt


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
        settings = settings_for(self.arm, self.prompt).to_json() if self.arm.settings else None
        parts: list[Any] = [self.arm.name, settings, self.prompt.text, self.seed]
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


Scores = Mapping[str, float]
# None: the picture could not be judged this time, and is judged again in the next run.
Judge = Callable[[Prompt, Image.Image], "Scores | None"]
Maker = Callable[[Arm, Prompt, Sequence[int], Sampling], "list[Image.Image]"]


def run(
    maker: Maker,
    judge: Judge,
    todo: Sequence[Job],
    folder: Path,
    sampling: Sampling,
    *,
    made_by: Mapping[str, str],
    echo: Callable[[str], None] = lambda text: None,
    shard: tuple[int, int] = (0, 1),
) -> dict[str, Scores]:
    """Make and judge what is missing; returns the scores of all images by key.

    ``shard`` (i, n): only each n-th batch from the i-th on, with a file of results of its own; other shards' results
    are read along, at the end too. ``made_by``: what made and judged the images. ValueError where ``folder`` holds
    those of something else, where another process works on the same shard, and for a damaged picture or note.
    """
    claim(folder, made_by)
    with lock(folder / f".lock-{shard[0]}-of-{shard[1]}"):
        _otherwise_shared(folder, shard[1])
        known = read_results(folder)
        parts = [[job for job in part if job.key(sampling) not in known] for part in _batches(todo, sampling.batch)]
        mine = [part for part in parts[shard[0] :: shard[1]] if part]
        with (folder / f"results-{shard[0]}-of-{shard[1]}.jsonl").open("a", encoding="utf-8") as file:
            if file.tell():
                file.write("\n")  # so that a line cut off by a kill spoils no other
            for number, part in enumerate(mine, 1):
                _make(maker, part, folder, sampling)
                for job in part:
                    scores = judge(job.prompt, open_picture(picture_path(folder, job.key(sampling))))
                    if scores is not None:
                        known[job.key(sampling)] = dict(scores)
                        file.write(_line(job, sampling, scores))
                        file.flush()
                echo(f"{number}/{len(mine)} batches: {part[0].arm.name}, {part[0].prompt.text}")
    return {**read_results(folder), **known}


def _otherwise_shared(folder: Path, count: int) -> None:
    """ValueError where other processes share the same work in another number of parts."""
    for path in folder.glob(".lock-*-of-*"):
        if not path.name.endswith(f"-of-{count}"):
            with lock(path):
                pass


def _line(job: Job, sampling: Sampling, scores: Scores) -> str:
    entry = {"key": job.key(sampling), "arm": job.arm.name, "prompt": job.prompt.text, "seed": job.seed}
    return json.dumps({**entry, "scores": dict(scores)}) + "\n"


def open_picture(path: Path) -> Image.Image:
    """A picture of a run; ValueError that names the file where it is damaged."""
    try:
        with Image.open(path) as image:
            found: Image.Image = image.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"the picture {path} is damaged ({error}): delete it and run this again") from error
    return found


def read_results(folder: Path) -> dict[str, Scores]:
    """The scores of all images in a run's folder, by key; lines cut off by a kill are left out."""
    known: dict[str, Scores] = {}
    for path in sorted(folder.glob("results-*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
                known[entry["key"]] = {name: float(value) for name, value in entry["scores"].items()}
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
    return known


def judge_scene(prompt: Prompt, image: Image.Image) -> Scores:
    """The embedded model's judge; pictures of other sizes are scaled to its own."""
    from tome_ext.research.world.scenes import SIZE

    if image.size != (SIZE, SIZE):
        image = image.resize((SIZE, SIZE), Image.Resampling.BOX)
    return outcome(prompt, look(np.asarray(image))).to_json()


def picture_path(folder: Path, key: str) -> Path:
    """Where an image of a run lies."""
    return folder / "images" / f"{key}.png"


def _make(maker: Maker, part: Sequence[Job], folder: Path, sampling: Sampling) -> None:
    """Make the images of one batch, of one arm and prompt, that are not there, and save each in one move."""
    missing = [job for job in part if not picture_path(folder, job.key(sampling)).exists()]
    if not missing:
        return
    images = maker(missing[0].arm, missing[0].prompt, [job.seed for job in missing], sampling)
    for job, image in zip(missing, images, strict=True):
        with replacing(picture_path(folder, job.key(sampling))) as path:
            image.save(path, format="PNG")


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


def claim(folder: Path, made_by: Mapping[str, str]) -> None:
    """Note what makes and judges the folder's images; ValueError where it holds those of something else."""
    note = folder / "made_by.json"
    if not note.exists():
        with replacing(note) as path:
            path.write_text(json.dumps(dict(made_by)), encoding="utf-8")
    held = read_json(note)
    other = [f"{name} {held.get(name)!r}, not {value!r}" for name, value in made_by.items() if held.get(name) != value]
    if other:
        raise ValueError(f"{folder} holds images of {'; '.join(other)}: name another folder")
