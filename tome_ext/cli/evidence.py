"""The ``evidence`` command: benchmark, experiments, public benchmarks, export. It imports torch when it runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tome_ext.cli.console import CommandError, echo, warn
from tome_ext.cli.identity import made_by
from tome_ext.cli.models import DTYPES, choose_device, choose_dtype, open_pipeline
from tome_ext.cli.numbers import real, whole

_DESCRIPTION = """\
What the method does, measured. Every run can be killed and started again: no image is made twice."""

_EXAMPLES = """\
examples:
  python -m tome_ext evidence benchmark --out runs/small --prompts 2 --images 2     some minutes on two cores
  python -m tome_ext evidence ablation --out runs/ablation --model FOLDER
  python -m tome_ext evidence t2i-compbench --prompts-from color_val.txt --model FOLDER --blip FOLDER --out runs/colour
  python -m tome_ext evidence object-binding --model FOLDER --judge-url http://localhost:8000/v1 --out runs/objects
  python -m tome_ext evidence real --model FOLDER_OR_FILE --out runs/real     a checkpoint of yours, and a page to show
  python -m tome_ext evidence judge                       the automatic judge's own accuracy
  python -m tome_ext evidence export --webui models/Stable-diffusion --diffusers FOLDER"""

_BLIP = "Salesforce/blip-vqa-base"
EXPERIMENTS = (
    "benchmark",
    "additivity",
    "leakage",
    "layout",
    "ablation",
    "objects",
    "length",
    "shortcuts",
    "weights",
    "encoders",
)


def add_evidence_command(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``evidence`` and its own commands to the command line."""
    parser = subparsers.add_parser(
        "evidence", help="measure what the method does", description=_DESCRIPTION, epilog=_EXAMPLES
    )
    commands = parser.add_subparsers(title="commands", metavar="WHAT", required=True)
    for name in EXPERIMENTS:
        _add_experiment(commands, name)
    _add_compbench(commands)
    _add_object_binding(commands)
    _add_real(commands)
    judge = commands.add_parser("judge", help="the automatic judge's accuracy on renders")
    judge.add_argument("--scenes", type=whole(1, 1_000_000), default=400)
    judge.add_argument("--model", help="also on renders that this model's autoencoder has encoded and decoded")
    judge.set_defaults(run=_judge)
    export = commands.add_parser("export", help="the embedded model for a WebUI or for diffusers")
    export.add_argument("--model", help="a file that the training wrote (default: the embedded model)")
    export.add_argument("--webui", type=Path, metavar="DIR", help="the WebUI's folder for checkpoints")
    export.add_argument("--diffusers", type=Path, metavar="DIR", help="a folder in diffusers' layout")
    export.set_defaults(run=_export)


def _add_sampling(parser: argparse.ArgumentParser, images: int, steps: int) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run's folder; go on with the same")
    parser.add_argument("--model", default="shapes", help="as in generate, a file of the training, or shapes: our own")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", choices=DTYPES, default="auto")
    parser.add_argument("--images", type=whole(1, 1000), default=images, help=f"per prompt and arm (default: {images})")
    parser.add_argument("--steps", type=whole(1, 1000), default=steps, help=f"sampling steps (default: {steps})")
    parser.add_argument("--guidance", type=real(0, 100), default=5.0)
    parser.add_argument(
        "--size", type=whole(0, 8192, 8), default=0, help="in pixels (default: the model's own; --webui needs it)"
    )
    parser.add_argument("--batch", type=whole(1, 1000), default=8)
    parser.add_argument("--seed", type=whole(0, 2**63 - 1), default=0, help="of the choice of prompts")
    parser.add_argument("--arms", nargs="*", default=[], metavar="ARM", help="only these (default: all)")
    parser.add_argument("--webui", metavar="URL", help="make the images through this WebUI's API instead")


def _add_experiment(commands: argparse._SubParsersAction[Any], name: str) -> None:
    parser = commands.add_parser(
        name, help="the paper's experiment" if name != "benchmark" else "the binding benchmark"
    )
    _add_sampling(parser, 4, 20)
    parser.add_argument("--prompts", type=whole(1, 1000), default=8, help="per family (default: 8)")
    parser.add_argument("--blip", metavar="FOLDER", help="judge by BLIP-VQA, for models that do not draw our shapes")
    parser.set_defaults(run=_experiment, name=name)


def _add_compbench(commands: argparse._SubParsersAction[Any]) -> None:
    parser = commands.add_parser("t2i-compbench", help="attribute binding by BLIP-VQA, on prompts from a file")
    _add_sampling(parser, 10, 50)
    parser.add_argument("--prompts-from", type=Path, required=True, metavar="FILE", help="one prompt a line")
    parser.add_argument("--limit", type=whole(0, 1_000_000), default=0, help="only the first prompts (default: all)")
    parser.add_argument("--blip", required=True, metavar="FOLDER", help="BLIP for visual questions, or its hub id")
    parser.set_defaults(run=_compbench)


def _add_object_binding(commands: argparse._SubParsersAction[Any]) -> None:
    parser = commands.add_parser("object-binding", help="the paper's 50 prompts, judged by a vision-language model")
    _add_sampling(parser, 1, 50)
    parser.add_argument("--judge-url", required=True, metavar="URL", help="an endpoint in OpenAI's form, up to /v1")
    parser.add_argument("--judge-model", default="default", help="the name that the endpoint knows it by")
    parser.add_argument("--judge-key", default="", metavar="VARIABLE", help="environment variable with the key")
    parser.set_defaults(run=_object_binding)


def _add_real(commands: argparse._SubParsersAction[Any]) -> None:
    parser = commands.add_parser(
        "real", help="plain sampling and presets on a real checkpoint: 110 everyday prompts, BLIP-VQA, a page"
    )
    _add_sampling(parser, 4, 30)
    parser.add_argument("--limit", type=whole(0, 110), default=0, help="only the first prompts (default: all 110)")
    parser.add_argument("--blip", default=_BLIP, metavar="FOLDER", help=f"BLIP for visual questions (default: {_BLIP})")
    parser.set_defaults(run=_real)


def open_model(arguments: argparse.Namespace) -> Any:
    """The pipeline that ``--model`` names; CommandError where there is none."""
    device = choose_device(arguments.device)
    return open_pipeline(arguments.model, device, choose_dtype(arguments.dtype, device))


def _experiment(arguments: argparse.Namespace) -> int:
    from tome_ext.research.commands import run_experiment

    return _run_reporting_errors(run_experiment, arguments)


def _compbench(arguments: argparse.Namespace) -> int:
    from tome_ext.research.commands import run_compbench

    return _run_reporting_errors(run_compbench, arguments)


def _object_binding(arguments: argparse.Namespace) -> int:
    from tome_ext.research.commands import run_object_binding

    return _run_reporting_errors(run_object_binding, arguments)


def _real(arguments: argparse.Namespace) -> int:
    from tome_ext.research.commands import run_real

    return _run_reporting_errors(run_real, arguments)


def _run_reporting_errors(run: Any, arguments: argparse.Namespace) -> int:
    """Run, and say in one line what the user can put right: a wrong arm, a missing file, an endpoint that is off."""
    from tome_ext.research.benchmark import claim
    from tome_ext.research.makers import MethodError

    if arguments.webui and not arguments.size:
        raise CommandError("--webui needs --size: the model's own size is not known here")
    device = choose_device(arguments.device)
    arguments.device = str(device)  # BLIP's as well
    arguments.dtype = str(choose_dtype(arguments.dtype, device)).removeprefix("torch.")
    try:
        own = made_by(arguments)
        claim(arguments.out, own)  # before anything large is opened
        status: int = run(arguments, lambda: open_model(arguments), echo, own)
    except (ValueError, OSError, MethodError) as error:
        raise CommandError(str(error)) from error
    return status


def _judge(arguments: argparse.Namespace) -> int:
    from tome_ext.research.commands import judge_accuracy

    pipe = None
    if arguments.model:
        arguments.device, arguments.dtype = "auto", "float32"
        pipe = open_model(arguments)
    for line in judge_accuracy(arguments.scenes, pipe):
        echo(line)
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from tome_ext.research.export.webui import write_diffusers, write_webui

    if arguments.webui is None and arguments.diffusers is None:
        raise CommandError("say where to: --webui DIR, --diffusers DIR or both")
    arguments.device, arguments.dtype, arguments.model = "cpu", "float32", arguments.model or "shapes"
    pipe = open_model(arguments)
    if arguments.diffusers is not None:
        write_diffusers(pipe, arguments.diffusers)
        echo(str(arguments.diffusers))
    if arguments.webui is not None:
        echo(str(write_webui(pipe, arguments.webui)))
        warn("the yaml holds this folder's full path: export anew rather than move it")
    return 0
