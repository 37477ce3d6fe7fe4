"""ToMe's refinement of one denoising step (paper, section 3.3): the page to read first.

A host describes each model call as a :class:`~tome_ext.method.state.Step`, keeps the
:class:`~tome_ext.method.state.Tokens` of its job between calls, and does this before the call:

    if in_window(step, settings):
        tokens, latents, report = refine(step, tokens, settings)
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from tome_ext.method.backward.memory import backward_passes
from tome_ext.method.descent import MOST, descend, gradients, normalised, shortened
from tome_ext.method.objective import (
    attention_layers,
    binding_terms,
    finished,
    objective,
    phrase_target,
    with_variable,
)
from tome_ext.method.precision import widened
from tome_ext.method.state import Report, Step, Tokens
from tome_ext.method.window import inside
from tome_ext.settings import Settings


def in_window(step: Step, settings: Settings) -> bool:
    """Whether the settings refine at this step (:func:`tome_ext.method.window.inside`)."""
    return inside(step.place, step.index, settings, step.total)


def refine(step: Step, tokens: Tokens, settings: Settings) -> tuple[Tokens, Tensor, Report]:
    """Move the composite tokens ĉ_k down L = L_ent + λ·L_sem, at the noise level of one model call.

    Returns the new tokens, the latents [B, C, h, w] for this call's noise prediction (the given ones unless
    ``latent_step`` is set), and a report. Inputs are not modified, and the model's weights get no gradient.
    What ``predict`` raises goes through and leaves nothing behind.
    """
    report, z = Report(step.index), step.latents
    if not tokens.image:
        return tokens, z, report
    attention_layers(step.unet, settings)  # a wrong choice is an error before any pass is made
    settings = settings.scaled
    given, dtype = tokens.context.dtype, next(step.unet.parameters()).dtype
    tokens = _measured(replace(tokens, context=widened(tokens.context.detach())))
    with backward_passes(step, tokens, settings) as rows:
        target = phrase_target(step, tokens, settings, rows)  # ε(z_t, C_phrase), without gradient
        if target is not None:
            tokens = replace(tokens, trajectory=target.trajectory)
        if target is not None and settings.order == "separate":  # the authors' code: first ĉ ← ĉ − ∇(λ·L_sem) …
            for _ in range(settings.binding_iterations):
                terms = binding_terms(step, tokens, target, settings, rows)
                (gradient,), losses = gradients(terms, [tokens.composites], dtype, together=rows is None)
                moved = descend(tokens.composites, gradient, settings.binding_step_size, report)
                tokens = tokens.with_composites(moved)
                report.binding.append(losses.binding)
            target = None  # … and then L_ent alone
        images, size = sorted(set(tokens.image)), _step_size(step, settings)
        for _ in range(settings.iterations):
            terms = objective(step, tokens, z, target, images, settings, rows)  # L_ent + λ·L_sem
            if not terms:
                break
            variables = [tokens.context if settings.update == "all" else tokens.composites]
            variables += [z] if settings.latent_step else []
            (gradient, *of_z), losses = gradients(terms, variables, dtype, together=rows is None)
            if settings.descent == "normalised":
                gradient = normalised(variables[0], gradient)
            moved = descend(variables[0], gradient, size, report)  # ĉ ← ĉ − η·∇L
            if settings.descent == "normalised":  # steps of a token's own length would let it grow without end
                moved = shortened(moved, MOST * _longest(tokens, moved))
            tokens = with_variable(tokens, moved, settings)
            if of_z:  # the authors' code: z_t as well, for this call alone
                z = descend(z, of_z[0], size * settings.latent_step, report)
            report.add(losses)
            images = [image for image in images if not finished(image, step, tokens, losses, settings)]
    return replace(tokens, context=tokens.context.to(given)), z, report


def _measured(tokens: Tokens) -> Tokens:
    """The tokens with the length of the longest of each image as it is now, where it is not known yet."""
    return tokens if tokens.longest is not None else replace(tokens, longest=tokens.context.norm(dim=-1).amax(-1))


def _longest(tokens: Tokens, moved: Tensor) -> Tensor:
    """The longest token's length of each image, for what moves: composite tokens [N, D] or the context [B, T, D]."""
    assert tokens.longest is not None
    return tokens.longest[list(tokens.image), None] if moved.ndim == 2 else tokens.longest[:, None, None]


def _step_size(step: Step, settings: Settings) -> float:
    """η at this call: constant, or falling linearly to zero at the last one."""
    decay = 1 - step.index / max(step.total - 1, 1) if settings.step_decay == "linear" else 1.0
    return settings.step_size * decay
