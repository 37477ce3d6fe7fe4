"""Pictures from a pipeline, with ToMe and without, each from a seed of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tome_ext.cli.recipe import Recipe

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Task:
    """One picture to make: a prompt and the seed of its starting noise."""

    prompt: str
    seed: int


@dataclass(frozen=True)
class Picture:
    """One finished picture; ``report`` is what the method did for it, None without ToMe."""

    task: Task
    image: Image.Image
    report: Any = None


def batches(tasks: Sequence[Task], size: int) -> Iterator[Sequence[Task]]:
    """``tasks`` in order, at most ``size`` at a time."""
    for start in range(0, len(tasks), size):
        yield tasks[start : start + size]


def sample(pipe: Any, tasks: Sequence[Task], recipe: Recipe, *, tome: bool, label: str) -> list[Picture]:
    """The pictures of ``tasks`` in one batch, with the recipe's steps, size, guidance and settings.

    ``label`` names the progress bar. Noise is drawn on the CPU, so that a seed gives the same picture on
    every device.
    """
    prompts = [task.prompt for task in tasks]
    pipe.set_progress_bar_config(desc=label, disable=None if label else True, leave=True)
    if not tome:
        return [Picture(task, image) for task, image in zip(tasks, _call(pipe, tasks, prompts, recipe), strict=True)]
    from tome_ext.hosts.diffusers import attach

    with attach(pipe, recipe.settings, prompts, record_maps=recipe.maps) as attached:
        images = _call(pipe, tasks, prompts, recipe)
    return [Picture(*made) for made in zip(tasks, images, attached.report, strict=True)]


def _call(pipe: Any, tasks: Sequence[Task], prompts: list[str], recipe: Recipe) -> list[Image.Image]:
    import torch

    size = {"width": recipe.width, "height": recipe.height} if recipe.width else {}
    images: list[Image.Image] = pipe(
        prompt=prompts,
        negative_prompt=None if recipe.negative is None else [recipe.negative] * len(tasks),
        num_inference_steps=recipe.steps,
        guidance_scale=recipe.guidance,
        generator=[torch.Generator("cpu").manual_seed(task.seed) for task in tasks],
        **size,
    ).images
    return images
