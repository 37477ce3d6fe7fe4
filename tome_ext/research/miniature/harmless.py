"""Does end token substitution by kind harm the embedded model? ``python -m tome_ext.research.miniature.harmless OUT``.

Plain, merging, merging with ETS, the preset ``balanced``; and merging with ETS by kind: with ETS where groups are
things worn, without where they are colours, which is put together from the images of the two.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from tome_ext.research.arms import BALANCED, FAST, MERGE, PLAIN, Arm
from tome_ext.research.benchmark import Job, Sampling, Scores, judge_scene, run
from tome_ext.research.files import write_text
from tome_ext.research.makers import diffusers_maker
from tome_ext.research.miniature.compare import threads
from tome_ext.research.report import Row, table, tally
from tome_ext.research.world.prompts import COLOUR_FREE, Prompt, families

AUTO = Arm("merging, ETS by kind")
FAMILIES = (
    *("two colours, seen", "two colours, held out", "three colours, seen"),
    *("two wearing, seen", "two wearing, held out"),
)
_MADE = (PLAIN, MERGE, FAST, BALANCED)
_SEEDS, _PROMPTS = 700_000, 71  # of the images, and of the prompts


def jobs(arm: Arm, prompts: Sequence[Prompt], images: int) -> list[Job]:
    """The images of one arm; all arms share their seeds."""
    return [
        Job(arm, prompt, _SEEDS + 1000 * number + image)
        for number, prompt in enumerate(prompts)
        for image in range(images)
    ]


def by_kind(
    prompts: Sequence[Prompt], images: int, known: Mapping[str, Scores], sampling: Sampling
) -> dict[str, Scores]:
    """The scores of :data:`AUTO`, from those of the arm that it chooses for each prompt."""
    found = {}
    for job in jobs(AUTO, prompts, images):
        chosen = FAST if job.prompt.family in COLOUR_FREE else MERGE
        key = Job(chosen, job.prompt, job.seed).key(sampling)
        if key in known:
            found[job.key(sampling)] = known[key]
    return found


def tabulate(prompts: Sequence[Prompt], images: int, known: Mapping[str, Scores], sampling: Sampling) -> list[Row]:
    """The figures of all arms, as far as they are known."""
    todo = [job for arm in (*_MADE, AUTO) for job in jobs(arm, prompts, images)]
    return tally(todo, {**known, **by_kind(prompts, images, known, sampling)}, sampling)


def main(argv: Sequence[str] | None = None) -> None:
    """Make what is missing, and write the table."""
    from tome_ext.embedded.shapes_file import shapes_pipeline

    parser = argparse.ArgumentParser(prog="python -m tome_ext.research.miniature.harmless", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--prompts", type=int, default=8, help="of each family")
    parser.add_argument("--images", type=int, default=3, help="of each prompt")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args(argv)
    threads(given.threads)
    prompts = [prompt for prompt in families(given.prompts, _PROMPTS) if prompt.family in FAMILIES]
    sampling = Sampling(steps=given.steps, guidance=given.guidance, batch=given.images)
    todo = [job for arm in _MADE for job in jobs(arm, prompts, given.images)]
    maker = diffusers_maker(shapes_pipeline())
    made_by = {"model": "embedded"}
    known = run(
        maker, judge_scene, todo, given.out, sampling, made_by=made_by, echo=lambda line: print(line, flush=True)
    )
    figures = table(tabulate(prompts, given.images, known, sampling))
    write_text(given.out / "report.md", figures)
    print(figures)


if __name__ == "__main__":
    main()
