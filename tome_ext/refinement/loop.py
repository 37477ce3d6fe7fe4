"""When and how often the tokens are updated."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tome_ext.precision import widened
from tome_ext.refinement.descent import descend, gradients
from tome_ext.refinement.job import Report, Step, Tokens
from tome_ext.refinement.objective import Target, Values, binding_losses, by_object, evaluate, phrase_target
from tome_ext.settings import Settings
from tome_ext.unet import frozen, select_layers


def in_window(step: Step, settings: Settings) -> bool:
    """Whether the settings refine at this step: its place in the run lies in [window_start, window_stop)."""
    progress = step.index / step.total
    return settings.refines and settings.window_start - 1e-9 <= progress < settings.window_stop - 1e-9


def refine(step: Step, tokens: Tokens, settings: Settings) -> tuple[Tokens, Tensor, Report]:
    """Refine the composite tokens for one model call (paper, section 3.3).

    Returns the new tokens, the latents [B, C, h, w] for this call's noise prediction (the given ones unless
    ``latent_step`` is set), and a report. Inputs are not modified, and the model's weights get no gradient.
    What ``predict`` raises goes through and leaves nothing behind.
    """
    report = Report(step.index)
    if not tokens.image:
        return tokens, step.latents, report
    given = tokens.context.dtype
    tokens = replace(tokens, context=widened(tokens.context.detach()))
    separate = settings.order == "separate"
    needed = settings.binding_weight and (settings.binding_iterations if separate else settings.iterations)
    with torch.enable_grad(), frozen(step.unet):
        target = phrase_target(step, tokens, settings) if needed else None
        if target is not None:
            tokens = replace(tokens, trajectory=target.trajectory)
            if separate:
                tokens = _bind(step, tokens, target, settings, report)
        tokens, latents = _shape(step, tokens, None if separate else target, settings, report)
    return replace(tokens, context=tokens.context.to(given)), latents, report


def _bind(step: Step, tokens: Tokens, target: Target, settings: Settings, report: Report) -> Tokens:
    """The authors' binding iterations, which come before the entropy iterations."""
    objects = range(len(tokens.image))

    def loss(composites: Tensor) -> tuple[Tensor, Values]:
        each = binding_losses(step, composites, tokens, target, objects)
        return settings.binding_weight * each.sum(), Values(binding=by_object(each, objects))

    composites = tokens.composites
    for _ in range(settings.binding_iterations):
        found, values = gradients(loss, [composites], _precision(step))
        assert found is not None
        composites, discarded = descend(composites, found[0], settings.binding_step_size)
        report.binding.append(values.binding)
        report.discarded += discarded
    return tokens.with_composites(composites)


def _shape(
    step: Step, tokens: Tokens, target: Target | None, settings: Settings, report: Report
) -> tuple[Tokens, Tensor]:
    """The iterations on the attention maps, joined by the binding loss where there is a target."""
    layers = select_layers(step.unet, settings.layers)
    images = sorted(set(tokens.image))
    latents = step.latents
    size = settings.step_size
    if settings.step_decay == "linear":
        size *= 1 - step.index / max(step.total - 1, 1)
    for _ in range(settings.iterations):

        def loss(variable: Tensor, at: Tensor = latents) -> tuple[Tensor | None, Values]:
            return evaluate(step, _with(tokens, variable, settings), at, target, images, layers, settings)  # noqa: B023

        variables = [tokens.context if settings.update == "all" else tokens.composites]
        variables += [latents] if settings.latent_step else []
        found, values = gradients(loss, variables, _precision(step))
        report.entropy.append(values.entropy)
        report.position.append(values.position)
        if target is not None:
            report.binding.append(values.binding)
        images = [image for image in images if image not in values.finished]
        if found is None:
            break
        moved, discarded = descend(variables[0], found[0], size)
        tokens = _with(tokens, moved, settings)
        report.discarded += discarded
        if settings.latent_step:
            latents, discarded = descend(latents, found[1], size * settings.latent_step)
            report.discarded += discarded
    return tokens, latents


def _with(tokens: Tokens, variable: Tensor, settings: Settings) -> Tokens:
    return replace(tokens, context=variable) if settings.update == "all" else tokens.with_composites(variable)


def _precision(step: Step) -> torch.dtype:
    return next(step.unet.parameters()).dtype
