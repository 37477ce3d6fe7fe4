"""When and how often the tokens are updated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

import torch
from torch import Tensor

from tome_ext.method.backward.autograd import frozen
from tome_ext.method.backward.checkpointing import checkpointed
from tome_ext.method.backward.memory import Plan, plan
from tome_ext.method.descent import descend, gradients, normalised
from tome_ext.method.layers import select_layers
from tome_ext.method.objective import (
    Target,
    Values,
    binding_losses,
    by_object,
    evaluate,
    phrase_target,
    portions,
    with_variable,
)
from tome_ext.method.precision import widened
from tome_ext.method.state import Report, Step, Tokens
from tome_ext.method.window import refined
from tome_ext.settings import Settings


def in_window(step: Step, settings: Settings) -> bool:
    """Whether the settings refine at this step (:func:`tome_ext.method.window.refined`)."""
    return refined(step.index, step.total, settings)


def refine(step: Step, tokens: Tokens, settings: Settings) -> tuple[Tokens, Tensor, Report]:
    """Refine the composite tokens for one model call (paper, section 3.3).

    Returns the new tokens, the latents [B, C, h, w] for this call's noise prediction (the given ones unless
    ``latent_step`` is set), and a report. Inputs are not modified, and the model's weights get no gradient.
    What ``predict`` raises goes through and leaves nothing behind.
    """
    report = Report(step.index)
    if not tokens.image:
        return tokens, step.latents, report
    settings = settings.scaled
    given = tokens.context.dtype
    tokens = replace(tokens, context=widened(tokens.context.detach()))
    separate = settings.order == "separate"
    needed = settings.binding_weight and (settings.binding_iterations if separate else settings.iterations)
    kept = plan(step, tokens, settings)
    with torch.enable_grad(), frozen(step.unet), checkpointed(step.unet) if kept.checkpointing else nullcontext():
        target = phrase_target(step, tokens, settings, kept.rows) if needed else None
        if target is not None:
            tokens = replace(tokens, trajectory=target.trajectory)
            if separate:
                tokens = _bind(step, tokens, target, settings, report, kept)
        tokens, latents = _shape(step, tokens, None if separate else target, settings, report, kept)
    return replace(tokens, context=tokens.context.to(given)), latents, report


def _bind(step: Step, tokens: Tokens, target: Target, settings: Settings, report: Report, kept: Plan) -> Tokens:
    """The authors' binding iterations, which come before the entropy iterations."""
    objects = range(len(tokens.image))

    def loss(composites: Tensor) -> tuple[Iterator[Tensor], Values]:
        values = Values()

        def terms() -> Iterator[Tensor]:
            for some in portions(objects, kept.rows):
                each = binding_losses(step, composites, tokens, target, some)
                values.binding |= by_object(each, some)
                yield settings.binding_weight * each.sum()

        return terms(), values

    composites = tokens.composites
    for _ in range(settings.binding_iterations):
        found, values = gradients(loss, [composites], _precision(step), together=kept.rows is None)
        assert found is not None
        composites, discarded = descend(composites, found[0], settings.binding_step_size)
        report.binding.append(values.binding)
        report.discarded += discarded
    return tokens.with_composites(composites)


def _shape(
    step: Step, tokens: Tokens, target: Target | None, settings: Settings, report: Report, kept: Plan
) -> tuple[Tokens, Tensor]:
    """The iterations on the attention maps, joined by the binding loss where there is a target."""
    layers = select_layers(step.unet, settings.layers)
    images = sorted(set(tokens.image))
    latents = step.latents
    size = settings.step_size
    if settings.step_decay == "linear":
        size *= 1 - step.index / max(step.total - 1, 1)
    for _ in range(settings.iterations):

        def loss(variable: Tensor, at: Tensor = latents) -> tuple[Iterator[Tensor], Values]:
            return evaluate(step, tokens, variable, at, target, images, layers, settings, kept.rows)  # noqa: B023

        variables = [tokens.context if settings.update == "all" else tokens.composites]
        variables += [latents] if settings.latent_step else []
        found, values = gradients(loss, variables, _precision(step), together=kept.rows is None)
        report.entropy.append(values.entropy)
        report.position.append(values.position)
        if target is not None:
            report.binding.append(values.binding)
        images = [image for image in images if image not in values.finished]
        if found is None:
            break
        moved, discarded = descend(variables[0], _direction(variables[0], found[0], settings), size)
        tokens = with_variable(tokens, moved, settings)
        report.discarded += discarded
        if settings.latent_step:
            latents, discarded = descend(latents, found[1], size * settings.latent_step)
            report.discarded += discarded
    return tokens, latents


def _direction(variable: Tensor, gradient: Tensor, settings: Settings) -> Tensor:
    return normalised(variable, gradient) if settings.descent == "normalised" else gradient


def _precision(step: Step) -> torch.dtype:
    return next(step.unet.parameters()).dtype
