"""The README's picture, chosen by rule: ``python -m tome_ext.research.first_four OUT.png``.

The first four seeds of the first four prompts with two things or more, by the embedded model: plain sampling on the
left, ``balanced`` on the right. Nothing is left out and nothing is drawn again.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tome_ext.research.arms import BALANCED, PLAIN
from tome_ext.research.benchmark import Job, Sampling, judge_scene, picture_path, run
from tome_ext.research.files import replacing
from tome_ext.research.makers import diffusers_maker
from tome_ext.research.miniature.harmless import FAMILIES
from tome_ext.research.report import sheet
from tome_ext.research.world.prompts import families

_PROMPTS = _SEEDS = 4
_ARMS = (PLAIN, BALANCED)


def main(argv: Sequence[str] | None = None) -> None:
    """Draw and save it."""
    from tome_ext.embedded.shapes_file import shapes_pipeline

    parser = argparse.ArgumentParser(prog="python -m tome_ext.research.first_four", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=5.0)
    given = parser.parse_args(argv)
    prompts = [prompt for prompt in families(1) if prompt.family in FAMILIES][:_PROMPTS]
    sampling = Sampling(given.steps, given.guidance, batch=_SEEDS)
    todo = [Job(arm, prompt, seed) for prompt in prompts for arm in _ARMS for seed in range(_SEEDS)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(diffusers_maker(shapes_pipeline()), judge_scene, todo, folder, sampling, made_by={"model": "embedded"})
        rows = [
            (prompt.text, [picture_path(folder, job.key(sampling)) for job in todo if job.prompt == prompt])
            for prompt in prompts
        ]
        made = sheet(rows, [f"{arm.name}, seed {seed}" for arm in _ARMS for seed in range(_SEEDS)])
        with replacing(given.out) as path:
            made.save(path, format="PNG")


if __name__ == "__main__":
    main()
