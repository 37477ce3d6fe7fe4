"""What a run with the method costs, counted with the real refinement on the meta device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tome_ext.cost.meter import Meter
from tome_ext.cost.models import Architecture
from tome_ext.method.refine import in_window, refine
from tome_ext.method.state import Step, Tokens
from tome_ext.settings import Settings
from tome_ext.tokens.vocabulary import CHUNK

GIB = 2**30


@dataclass(frozen=True)
class Run:
    """A sampling run: ``batch`` images of ``width`` x ``height`` pixels in ``steps`` steps, with ``objects`` each."""

    steps: int = 30
    objects: int = 2
    batch: int = 1
    width: int = 1024
    height: int = 1024


@dataclass(frozen=True)
class Cost:
    """The cost of a run in FLOPs and bytes.

    ``plain``: sampling alone, two passes (prompt and negative prompt) per step and image. ``step``: one refined
    step, of which ``recomputed`` for activation checkpointing; there are ``refined_steps``. ``encoding``: the
    texts that the method encodes beside the prompt. ``rows``: of the UNet in one refined step, by purpose.
    ``peak_saved``: the most that is kept for a backward pass; ``peak_live``: with everything temporary.
    """

    plain: int
    step: int
    recomputed: int
    refined_steps: int
    encoding: int
    rows: dict[str, int]
    peak_saved: int
    peak_live: int

    @property
    def extra(self) -> int:
        """FLOPs that plain sampling does not need."""
        return self.step * self.refined_steps + self.encoding

    @property
    def ratio(self) -> float:
        """All FLOPs of the run, in those of plain sampling."""
        return 1 + self.extra / self.plain

    def to_json(self) -> dict[str, Any]:
        """The figures by name; TFLOP are 1e12 FLOPs, GiB 2^30 bytes."""
        return {
            "flops_ratio": round(self.ratio, 6),
            "peak_saved_gib": round(self.peak_saved / GIB, 4),
            "peak_live_gib": round(self.peak_live / GIB, 4),
            "plain_tflop": round(self.plain / 1e12, 4),
            "extra_tflop": round(self.extra / 1e12, 4),
            "refined_step_tflop": round(self.step / 1e12, 4),
            "recomputed_tflop": round(self.recomputed * self.refined_steps / 1e12, 4),
            "text_encoding_tflop": round(self.encoding / 1e12, 4),
            "refined_steps": self.refined_steps,
            "unet_rows_per_refined_step": self.rows,
        }


def count(model: Architecture, settings: Settings, run: Run) -> Cost:
    """Count a ``run`` with the ``settings``, never stopping early.

    Every refined step does the same work, so that one is run, and multiplied by how many there are.
    """
    steps = [index for index in range(run.steps) if in_window(_step(model, run, index), settings)]
    rows: Counter[str] = Counter()
    meter = Meter([model.unet])
    if steps:
        step, tokens = _step(model, run, steps[0], rows), _tokens(model, run)
        with meter:
            refine(step, tokens, settings)
    return Cost(
        plain=run.steps * _sampling_pass(model, run),
        step=meter.flops,
        recomputed=meter.recomputed,
        refined_steps=len(steps),
        encoding=model.encoding * extra_texts(settings, run.objects * run.batch, run.batch),
        rows=dict(rows),
        peak_saved=meter.peak_saved,
        peak_live=meter.peak_live,
    )


def extra_texts(settings: Settings, objects: int, images: int) -> int:
    """How many texts are encoded beside the prompts: clean prompts, and phrases where something is refined."""
    return (images if settings.ets != "off" else 0) + (objects if settings.refines and settings.binding_weight else 0)


def _sampling_pass(model: Architecture, run: Run) -> int:
    meter = Meter([model.unet])
    latents = _latents(run).expand(2, -1, -1, -1)
    with meter, torch.no_grad():
        model.predict(latents, torch.zeros(2, CHUNK, model.width, device="meta"))
    return meter.flops * run.batch


def _step(model: Architecture, run: Run, index: int, rows: Counter[str] | None = None) -> Step:
    def predict(latents: Tensor, context: Tensor, images: Sequence[int]) -> Tensor:
        if rows is not None:
            purpose = "binding" if context.shape[1] == 1 else "attention" if torch.is_grad_enabled() else "target"
            rows[purpose] += len(latents)
        return model.predict(latents, context)

    null = torch.zeros(run.batch, CHUNK, model.width, device="meta")
    return Step(model.unet, _latents(run).expand(run.batch, -1, -1, -1), predict, index, run.steps, 10.0, null, 7.0)


def _tokens(model: Architecture, run: Run) -> Tokens:
    """A batch whose objects stand at the positions 2, 4, 6 … of a long prompt."""
    image = tuple(number for number in range(run.batch) for _ in range(run.objects))
    position = tuple(2 + 2 * number for _ in range(run.batch) for number in range(run.objects))
    context = torch.zeros(run.batch, CHUNK, model.width, device="meta")
    phrase = torch.zeros(len(image), CHUNK, model.width, device="meta")
    return Tokens(context, image, position, phrase, (tuple(range(1, 3 + 2 * run.objects)),) * run.batch)


def _latents(run: Run) -> Tensor:
    return torch.zeros(1, 4, run.height // 8, run.width // 8, device="meta", dtype=torch.float16)
