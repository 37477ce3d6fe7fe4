"""The ``generate`` command: pictures with ToMe, compared with plain ones and explained by attention maps."""

from __future__ import annotations

import argparse
import re
import secrets
import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tome_ext.cli.console import CommandError, echo, warn
from tome_ext.cli.flags import add_setting_flags, settings_from
from tome_ext.cli.models import (
    DEFAULT_MODEL,
    DTYPES,
    EMBEDDED,
    choose_device,
    choose_dtype,
    model_name,
    open_pipeline,
    set_scheduler,
)
from tome_ext.cli.recipe import SCHEDULERS, Recipe, read_recipe, save_png
from tome_ext.cli.sampling import Picture, Task, batches, sample
from tome_ext.settings import changes_from_preset

if TYPE_CHECKING:
    from PIL import Image

_PROBE = 1 << 16  # bytes: less free space holds no picture
_DESCRIPTION = """\
Make pictures with ToMe: words that belong together become one token, so that attributes stay with their object.

Every PNG carries all settings in its metadata; --from-image repeats it, and flags beside it change single
things. Give --model a Stable Diffusion 1.5, 2 or XL model; without it a small one that comes along draws
coloured shapes that wear hats."""

_EXAMPLES = """\
examples:
  ... generate "a red book and a yellow vase" --model FOLDER --compare --attention-maps
  ... generate "a cat wearing a hat and a dog" --groups "cat: wearing a hat" --preset fast --count 4 --seed 1
  ... generate --from-image out/picture.png --model FOLDER --related-weight 1.3"""


def add_generate_command(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``generate`` to the command line."""
    parser = subparsers.add_parser(
        "generate",
        help="make pictures",
        usage="python -m tome_ext generate PROMPT [PROMPT ...] [options]",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "prompts", nargs="*", metavar="PROMPT", help="what to draw; several prompts give several pictures"
    )
    _add_model_flags(parser)
    _add_picture_flags(parser)
    _add_output_flags(parser)
    add_setting_flags(parser)
    parser.set_defaults(run=_run)


def _add_model_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        help="a folder in diffusers' layout, a .safetensors checkpoint, a hub id such as OWNER/NAME (downloaded once), "
        f"or one of {', '.join(EMBEDDED)} (default: {DEFAULT_MODEL})",
    )
    group.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1, mps; auto takes the fastest (default: auto)"
    )
    group.add_argument("--dtype", choices=DTYPES, default="auto", help="auto: float16 on a GPU, float32 on the CPU")


def _add_picture_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("picture")
    group.add_argument("--seed", type=int, help="of the first picture, the next one has the next (default: drawn)")
    group.add_argument("--count", type=int, help="pictures per prompt (default: 1)")
    group.add_argument("--steps", type=int, help="sampling steps (default: 30)")
    group.add_argument("--size", metavar="WxH", help="in pixels, multiples of 8 (default: the model's own)")
    group.add_argument("--negative", metavar="PROMPT", help="what should not be in the picture")
    group.add_argument("--guidance", type=float, help="how strictly the prompt is followed (default: 7)")
    group.add_argument("--scheduler", choices=tuple(SCHEDULERS), help="the sampler (default: the model's own)")
    group.add_argument("--batch", type=int, default=1, help="pictures computed at once (default: 1)")
    method = group.add_mutually_exclusive_group()
    method.add_argument(
        "--compare", dest="method", action="store_const", const="compare", help="also without ToMe, side by side"
    )
    method.add_argument("--plain", dest="method", action="store_const", const="plain", help="only without ToMe")


def _add_output_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--out", type=Path, default=Path("out"), metavar="DIR", help="folder for the files (default: out)"
    )
    group.add_argument(
        "--attention-maps",
        action=argparse.BooleanOptionalAction,
        help="one heat map per object's token over the picture",
    )
    group.add_argument("--from-image", type=Path, metavar="FILE", help="repeat the picture in FILE from its metadata")
    group.add_argument("--quiet", action="store_true", help="no progress bars")


def plan(arguments: argparse.Namespace) -> tuple[list[str], Recipe]:
    """The prompts and the recipe that the flags ask for, each flag before what ``--from-image`` says.

    Raises CommandError or SettingError; loads no model.
    """
    base = read_recipe(arguments.from_image) if arguments.from_image else None
    if base is None and not arguments.prompts:
        raise CommandError("give a PROMPT, or --from-image FILE")
    if arguments.batch < 1:
        raise CommandError(f"batch = {arguments.batch}: must be at least 1")
    prompts = arguments.prompts or [base.prompt if base else ""]
    given = {
        "seed": arguments.seed,
        "count": arguments.count,
        "steps": arguments.steps,
        "negative": arguments.negative,
        "guidance": arguments.guidance,
        "scheduler": arguments.scheduler,
        "method": arguments.method,
        "maps": arguments.attention_maps,
        "model": _model(arguments.model, base),
    }
    if arguments.size is not None:
        given["width"], given["height"] = parse_size(arguments.size)
    settings = settings_from(arguments, base.settings if base else None)
    recipe = base or Recipe(prompt=prompts[0], seed=secrets.randbelow(2**32))
    recipe = recipe.replace(settings=settings, **{k: v for k, v in given.items() if v is not None})
    for prompt in prompts:  # so that nothing is refused after the sampling
        recipe.replace(prompt=prompt, seed=recipe.seed + recipe.count - 1)
    return prompts, recipe


def _model(given: str | None, base: Recipe | None) -> str:
    """The model to open. One that only a file's metadata names is opened when it is an embedded one."""
    if given is not None:
        return given
    if base is None:
        return DEFAULT_MODEL
    if base.model not in EMBEDDED:
        raise CommandError(f"the picture was made with the model {base.model!r}: say with --model where it is")
    return base.model


def parse_size(text: str) -> tuple[int, int]:
    """Width and height in pixels from text such as "1024x768"; CommandError where it is not that."""
    found = re.fullmatch(r"(\d{1,5})\s*[xX×]\s*(\d{1,5})", text.strip())
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not width or not height:
        raise CommandError(f"size = {text!r}: must be WIDTHxHEIGHT in pixels, such as 1024x768")
    return width, height


def _run(arguments: argparse.Namespace) -> int:
    prompts, recipe = plan(arguments)
    _prepare(arguments.out)
    device = choose_device(arguments.device)
    pipe = open_pipeline(recipe.model, device, choose_dtype(arguments.dtype, device))
    set_scheduler(pipe, recipe.scheduler)
    _check_layers(pipe, recipe)
    recipe = recipe.replace(model=model_name(recipe.model))
    tasks = [Task(prompt, recipe.seed + number) for prompt in prompts for number in range(recipe.count)]
    pairs: list[tuple[Picture, Picture]] = []
    for number, chosen in enumerate(batches(tasks, arguments.batch)):
        label = f"{number * arguments.batch + 1}/{len(tasks)}"
        plain, tome = _sample(pipe, chosen, recipe, "" if arguments.quiet else label)
        for method, pictures in (("plain", plain), ("tome", tome)):
            for picture in pictures:
                _write(picture, arguments.out, recipe.replace(method=method, count=1))
        if recipe.method == "compare":
            pairs += zip(plain, tome, strict=True)
    for start in range(0, len(pairs), recipe.count):
        _write_comparison(pairs[start : start + recipe.count], arguments.out, recipe)
    return 0


def _prepare(folder: Path) -> None:
    """Make the folder for the pictures and write a little to it; CommandError where that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"the folder {folder} cannot be made: {error}") from error
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_PROBE))
    except OSError as error:
        raise CommandError(f"nothing can be written to the folder {folder}: {error}") from error


def _check_layers(pipe: Any, recipe: Recipe) -> None:
    """CommandError, before anything is sampled, for attention layers that the model does not have or cannot average."""
    from tome_ext.method.layers import select_layers
    from tome_ext.method.objective import attention_layers

    if recipe.method == "plain":
        return
    try:
        if recipe.maps:
            select_layers(pipe.unet, recipe.settings.layers)
        else:
            attention_layers(pipe.unet, recipe.settings)
    except ValueError as error:
        raise CommandError(str(error)) from error


def _sample(pipe: Any, tasks: Sequence[Task], recipe: Recipe, label: str) -> tuple[list[Picture], list[Picture]]:
    """One batch without ToMe, and with it; the one that the recipe does not ask for is empty."""
    pictures: dict[str, list[Picture]] = {"plain": [], "tome": []}
    for method, words in (("plain", "without ToMe"), ("tome", "with ToMe")):
        if recipe.method in (method, "compare"):
            bar = f"{words} {label}" if label else ""
            try:
                pictures[method] = sample(pipe, tasks, recipe, tome=method == "tome", label=bar)
            except RuntimeError as error:
                if "out of memory" not in str(error).lower():
                    raise
                raise CommandError("out of memory: try a smaller --size or --batch, or --preset fast") from error
    return pictures["plain"], pictures["tome"]


def _with_size(recipe: Recipe, image: Image.Image) -> Recipe:
    return recipe.replace(width=image.size[0], height=image.size[1])


def _write(picture: Picture, folder: Path, recipe: Recipe) -> None:
    """Write one picture, and its attention maps; say where they are and what was bound to what."""
    recipe = _with_size(recipe, picture.image).replace(prompt=picture.task.prompt, seed=picture.task.seed)
    _save(picture.image, folder, recipe, "-plain" if recipe.method == "plain" else "", picture.report)
    if picture.report is not None:
        _print_report(picture.report)
        _write_maps(folder, recipe, picture)


def _write_comparison(pairs: Sequence[tuple[Picture, Picture]], folder: Path, recipe: Recipe) -> None:
    """Write the sheet of one prompt, a row for each seed."""
    from tome_ext.cli.pictures import grid

    first = pairs[0][0]
    recipe = _with_size(recipe, first.image).replace(prompt=first.task.prompt)
    labels = ["without ToMe", f"with ToMe ({changes_from_preset(recipe.settings)['preset']})"]
    sheet = grid([[plain.image, tome.image] for plain, tome in pairs], labels, recipe.prompt)
    _save(sheet, folder, recipe, "-compare")


def _write_maps(folder: Path, recipe: Recipe, picture: Picture) -> None:
    if not recipe.maps:
        return
    if not picture.report.maps:
        warn("no attention maps: the prompt has no composite tokens")
        return
    from tome_ext.cli.pictures import heat_sheet

    maps = [(label, attention.float().cpu().numpy()) for label, attention in picture.report.maps]
    _save(heat_sheet(picture.image, maps, recipe.prompt), folder, recipe, "-maps")


def _print_report(report: Any) -> None:
    """Say which words were bound to which, and what went wrong."""
    for group in report.groups.groups:
        related = [span.text for span in group.related] + [term.text for term in group.extra]
        echo(f"  {group.noun.text} <- {' '.join(related)}")
    for warning in report.warnings:
        warn(warning)


def _save(image: Image.Image, folder: Path, recipe: Recipe, suffix: str, report: Any = None) -> None:
    path = unused(folder, f"{slug(recipe.prompt)}-{recipe.seed}{suffix}")
    parser, failure = ("", "") if report is None else (report.groups.parser, report.failure)
    try:
        save_png(image, path, recipe, parser, failure)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error}") from error
    echo(f"{path}")


def slug(prompt: str, longest: int = 60) -> str:
    """A file name's stem from a prompt: lower-case ASCII letters and digits with hyphens, never empty."""
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:longest].strip("-") or "picture"


def unused(folder: Path, stem: str) -> Path:
    """``folder/stem.png``, or with the first number behind it that is free: no picture is ever overwritten."""
    path = folder / f"{stem}.png"
    number = 2
    while path.exists():
        path = folder / f"{stem}_{number}.png"
        number += 1
    return path
