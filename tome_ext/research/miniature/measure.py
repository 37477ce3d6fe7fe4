"""Measure the miniature: ``python -m tome_ext.research.miniature.measure WHAT --model FILE --out FOLDER``.

criteria: is it worth trusting? search: every variant on development prompts. confirm: chosen variants on others.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tome_ext.research.benchmark import Sampling
from tome_ext.research.miniature import product, variants
from tome_ext.research.miniature.compare import Compared, Comparison, run, threads
from tome_ext.research.miniature.training.autoencoder import reconstruct
from tome_ext.research.miniature.training.loop import snapshot
from tome_ext.research.miniature.training.weights import read_model
from tome_ext.research.miniature.world import prompts
from tome_ext.research.miniature.world.judge import accuracy
from tome_ext.research.miniature.world.things import random_picture

_SEEDS = {"criteria": 5_000_000, "search": 0, "confirm": 9_000_000}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(prog="python -m tome_ext.research.miniature.measure", description=__doc__)
    parser.add_argument("what", choices=("judge", "criteria", "search", "confirm"))
    parser.add_argument("--model", type=Path, required=True, help="a model's file, or a training's folder")
    parser.add_argument("--name", default="unet", help="the UNet, where --model is a folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--prompts", type=int, default=24, help="of seen pairs, and as many of unseen ones")
    parser.add_argument("--images", type=int, default=2, help="of each prompt")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--only", default="", help="names of variants, separated by semicolons; plain is always there")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what was asked for; a run that was stopped goes on."""
    given = parse(argv)
    threads(given.threads)
    pipe = read_model(given.model) if given.model.is_file() else snapshot(given.model, given.name)
    sampling = Sampling(steps=given.steps, guidance=given.guidance, batch=given.batch)
    if given.what == "judge":
        judge(pipe)
        return
    which = prompts.CONFIRMATION if given.what == "confirm" else prompts.DEVELOPMENT
    asked = prompts.both(given.prompts, which)
    first = _SEEDS[given.what]
    if given.what == "criteria":
        one = Comparison(prompts.singles(2 * given.prompts), given.images, sampling, first)
        run(pipe, variants.PARTS[:4], one, given.out / "one")
        run(pipe, variants.PARTS, Comparison(asked, given.images, sampling, first), given.out / "two")
        return
    known: list[Compared] = [*variants.EVERY, *product.REFINED]
    names = [name.strip() for name in given.only.split(";") if name.strip()]
    unknown = [name for name in names if name not in {each.name for each in known}]
    if unknown:
        raise SystemExit(f"--only: no variant is called {unknown[0]!r}")
    chosen = [each for each in known if not names or each.name in names or each is variants.PLAIN]
    run(pipe, chosen, Comparison(asked, given.images, sampling, first), given.out)


def judge(pipe: Any, count: int = 400) -> None:
    """The judge's accuracy on renders, as they are and decoded."""
    rng = np.random.default_rng(77)
    pictures = [random_picture(rng, unseen=bool(rng.random() < 0.5)) for _ in range(count)]
    print("renders:", accuracy(pictures))
    print("encoded and decoded:", accuracy(pictures, lambda pixels: reconstruct(pipe.vae, pixels)))


if __name__ == "__main__":
    main()
