"""The ``cost`` command: what the method adds to a sampling run, counted on the full-size model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tome_ext.cli.console import CommandError, echo
from tome_ext.cli.flags import add_setting_flags, settings_from
from tome_ext.cli.generate import parse_size
from tome_ext.settings import changes_from_preset

if TYPE_CHECKING:
    from tome_ext.cost.count import Cost, Run

_DESCRIPTION = """\
Count what the method adds to a sampling run: passes of the UNet, operations, and memory for the backward passes.

The method itself runs, on the full-size UNet of SDXL or SD1.5 without weights, so nothing is downloaded, the
figures are exact and every machine gives the same. Plain sampling takes two passes per step (prompt and
negative prompt). Attention counts as if its matrices were stored; a fused kernel needs less memory."""

_EXAMPLES = """\
examples:
  ... cost                                    the default preset on SDXL at 1024x1024, 30 steps, 2 objects
  ... cost --preset paper --objects 3 --checkpointing on
  ... cost --model sd15 --steps 20 --batch 4 --json
  ... cost --time                             seconds in place of operations, with random weights
  ... cost --write-docs                           count all figures of docs/COST.md and of the estimate again"""

MODELS = ("sdxl", "sd15")


def add_cost_command(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``cost`` to the command line."""
    parser = subparsers.add_parser("cost", help="count what a preset costs", description=_DESCRIPTION, epilog=_EXAMPLES)
    group = parser.add_argument_group("run")
    group.add_argument("--model", choices=MODELS, default="sdxl", help="(default: sdxl)")
    group.add_argument("--steps", type=int, default=30, metavar="N", help="sampling steps (default: 30)")
    group.add_argument("--objects", type=int, default=2, metavar="K", help="objects in the prompt (default: 2)")
    group.add_argument("--size", metavar="WxH", help="in pixels, multiples of 64 (default: the model's own)")
    group.add_argument("--batch", type=int, default=1, metavar="B", help="pictures at once (default: 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    other = parser.add_argument_group("other figures").add_mutually_exclusive_group()
    other.add_argument(
        "--time",
        type=int,
        nargs="?",
        const=5,
        metavar="ROUNDS",
        help="measure the wall time of the presets, and of the same work in the authors' order of passes: on the CPU "
        "with SDXL's UNet at an eighth of its width (at 256x256 where --size is not given), on a GPU with the whole "
        "one in float16",
    )
    other.add_argument(
        "--write-docs", action="store_true", help="write the tables and the plot of docs/, in a clone; takes minutes"
    )
    add_setting_flags(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.write_docs:
        return _write_docs()
    size = parse_size(arguments.size) if arguments.size else None
    if size and (any(side % 64 for side in size) or max(size) > 4096):
        raise CommandError(f"size = {arguments.size!r}: must be multiples of 64, at most 4096")
    if arguments.time is not None:
        return _time(arguments.time, size)
    settings = settings_from(arguments)
    for name, most in (("steps", 1000), ("objects", 30), ("batch", 64)):
        value = getattr(arguments, name)
        if not 1 <= value <= most:
            raise CommandError(f"{name} = {value}: must be a whole number from 1 to {most}")
    try:
        from tome_ext.cost.count import Run, count
        from tome_ext.cost.models import architecture
    except ImportError as error:
        raise CommandError(f"counting needs diffusers and PyTorch: {error}") from error
    model = architecture(arguments.model)
    width, height = size or (model.size, model.size)
    run = Run(arguments.steps, arguments.objects, arguments.batch, width, height)
    cost = count(model, settings, run)
    if arguments.json:
        asked = {"model": model.name, "settings": changes_from_preset(settings), **vars(run)}
        print(json.dumps({**asked, **cost.to_json()}))
    else:
        _print_cost(arguments.model, changes_from_preset(settings), run, cost)
    return 0


def _print_cost(model: str, changes: dict[str, Any], run: Run, cost: Cost) -> None:
    tera, gib = 1e12, 2**30
    echo(", ".join(f"{name} {value}" for name, value in changes.items()))
    echo(f"{model} at {run.width}x{run.height}, {run.steps} steps, {run.objects} object(s), batch {run.batch}")
    echo(f"  plain sampling       {2 * run.steps * run.batch} passes, {cost.plain / tera:.1f} TFLOP")
    if cost.refined_steps:
        rows = ", ".join(f"{number} {purpose}" for purpose, number in cost.rows.items())
        again = cost.recomputed * cost.refined_steps / tera
        echo(f"  refined steps        {cost.refined_steps} of {run.steps}, each {cost.step / tera:.2f} TFLOP")
        echo(f"    passes in each     {rows}")
        echo(f"    computed again     {again:.1f} TFLOP in all, by activation checkpointing")
    echo(f"  texts                {cost.encoding / tera:.2f} TFLOP")
    echo(f"  all together         {cost.ratio:.3f} times plain sampling")
    echo(f"  kept for backward    {cost.peak_saved / gib:.2f} GiB at most; {cost.peak_live / gib:.2f} with temporaries")


def _write_docs() -> int:
    from tome_ext import embedded
    from tome_ext.cost.report import write_page, write_table

    package = Path(str(embedded.__file__)).parent
    page = package.parent.parent / "docs" / "COST.md"
    if not page.exists():
        raise CommandError(f"{page} does not exist: --write-docs works in a clone of the repository")
    write_table(package / "cost.json", MODELS)
    try:
        write_page(page, MODELS)
    except ImportError as error:
        raise CommandError(f"the plot needs matplotlib: {error}") from error
    echo(f"{package / 'cost.json'}\n{page}")
    return 0


def _time(rounds: int, size: tuple[int, int] | None) -> int:
    if rounds < 1:
        raise CommandError(f"time = {rounds}: must be at least 1 round")
    if size and size[0] != size[1]:
        raise CommandError(f"size = {size[0]}x{size[1]}: --time takes squares")
    import torch

    from tome_ext.cost.timing import full_unet, measure, small_unet

    if torch.cuda.is_available():
        unet, side, name = full_unet("cuda"), 128, torch.cuda.get_device_name()
    else:
        unet, side, name = small_unet(), 32, f"CPU, {torch.get_num_threads()} thread(s)"
    side = size[0] // 8 if size else side
    echo(f"{name}; torch {torch.__version__}; latent {side}x{side}, two objects, 30 steps, {rounds} round(s)")
    for timing in measure(unet, side, rounds=rounds, echo=echo):
        peak = "" if timing.peak is None else f", {timing.peak:.2f} GiB beside the weights"
        spread = f"{timing.least:.3f} to {timing.most:.3f}"
        echo(f"  {timing.name:<14} {timing.ratio:.3f} times plain ({spread}), {timing.seconds:.4f} s each{peak}")
    return 0
