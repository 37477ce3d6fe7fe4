"""The loss of a job's composite tokens at one model call, and the target that the binding loss compares with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from tome_ext.method import losses
from tome_ext.method.attention import AttentionRecorder, map_size
from tome_ext.method.descent import Term
from tome_ext.method.layers import select_layers
from tome_ext.method.precision import widened
from tome_ext.method.resolution import reduced
from tome_ext.method.state import Losses, Step, Tokens, Trajectory
from tome_ext.settings import Settings

# The authors' early stop: step i ends below THRESHOLDS[i] · K/2 − 2 for K objects; the last holds from there on.
THRESHOLDS = (26.0, 25.0, 24.0, 23.0, 22.5, 22.0, 21.5, 21.0, 21.0, 21.0)


@dataclass(frozen=True)
class Target:
    """What the binding loss compares with: latents [N, C, h, w] and the noise there, predicted from the phrases."""

    latents: Tensor
    noise: Tensor
    trajectory: Trajectory | None = None


@torch.no_grad()
def phrase_target(step: Step, tokens: Tokens, settings: Settings, rows: int | None = None) -> Target | None:
    """The noise predicted from each phrase, without gradient; None where the settings have no binding loss.

    At the image's latent (paper), or on a sampling path of each phrase's own (the authors' code). ``rows``: how many
    phrases go through the UNet at once; None: all.
    """
    iterations = settings.binding_iterations if settings.order == "separate" else settings.iterations
    if not settings.binding_weight or not iterations:
        return None
    latents = reduced(step.latents, step.resolution(settings))[list(tokens.image)]
    if settings.phrase_latent == "same":
        return Target(latents, _predict(step, latents, tokens.phrase, tokens.image, rows))
    if step.null is None:
        raise ValueError("phrase_latent = 'own' needs the negative conditioning")
    # The authors' code samples each phrase by Euler's method, with the guidance's sign reversed, and steps from
    # the latent as the UNet was given it.
    past = tokens.trajectory
    if past is not None:
        moved = widened(past.latents) + (step.sigma - past.sigma) * past.direction
        latents = (moved / math.sqrt(1 + step.sigma**2)).to(latents.dtype)
    noise = widened(_predict(step, latents, tokens.phrase, tokens.image, rows))
    null = widened(_predict(step, latents, step.null[list(tokens.image)], tokens.image, rows))
    direction = null + step.guidance * (null - noise)
    return Target(latents, noise, Trajectory(latents, direction, step.sigma))


def _predict(step: Step, latents: Tensor, context: Tensor, images: Sequence[int], rows: int | None) -> Tensor:
    parts = portions(range(len(images)), rows)
    found = [step.predict(latents[part], widened(context[part]), images[part]) for part in map(_slice, parts)]
    return torch.cat(found)


def _slice(part: Sequence[int]) -> slice:
    return slice(part[0], part[-1] + 1)


def portions(items: Sequence[int], size: int | None) -> Iterator[Sequence[int]]:
    """``items`` in order, at most ``size`` at a time; None: all at once."""
    size = size or max(len(items), 1)
    for start in range(0, len(items), size):
        yield items[start : start + size]


def attention_layers(unet: nn.Module, settings: Settings) -> dict[str, nn.Module]:
    """The layers whose maps the losses look at, none where no loss does; ValueError as :func:`select_layers`."""
    look = settings.iterations and (settings.entropy_weight or settings.position_weight)
    return select_layers(unet, settings.layers) if look else {}


def objective(
    step: Step,
    tokens: Tokens,
    latents: Tensor,
    target: Target | None,
    images: Sequence[int],
    settings: Settings,
    rows: int | None = None,
) -> list[Term]:
    """The terms of L_ent + w·L_pos + λ·L_sem of the ``images``, each from at most ``rows`` rows of the UNet.

    A term takes the variable of the descent (:func:`with_variable`) and, where they move as well, the latents
    [B, C, h, w]; it returns its sum over the objects, and the values by object. No terms for no images. The maps are
    read at ``latents``, reduced to the ``resolution`` of the settings, the binding loss at its target's.
    """
    terms: list[Term] = []
    layers = attention_layers(step.unet, settings)
    if layers:
        for some in portions(images, rows):
            attending = partial(_attention_term, step, tokens, layers, some, settings)
            terms.append(lambda variable, z=latents, term=attending: term(variable, z))
    if target is not None:
        for objects in portions(tokens.objects_of(images), rows):
            terms.append(partial(_binding_term, step, tokens, target, objects, settings))
    return terms


def binding_terms(
    step: Step, tokens: Tokens, target: Target, settings: Settings, rows: int | None = None
) -> list[Term]:
    """λ·L_sem of all objects alone, as terms of the composite tokens [N, D]."""
    alone = replace(settings, update="composites")
    parts = portions(range(len(tokens.image)), rows)
    return [partial(_binding_term, step, tokens, target, objects, alone) for objects in parts]


def with_variable(tokens: Tokens, variable: Tensor, settings: Settings) -> Tokens:
    """The tokens with the ``variable`` of the descent in place: the composites [N, D], or the context [B, T, D]."""
    return replace(tokens, context=variable) if settings.update == "all" else tokens.with_composites(variable)


def finished(image: int, step: Step, tokens: Tokens, losses: Losses, settings: Settings) -> bool:
    """Whether an image is done with this step: its losses, as they were before the update, are low enough.

    In the authors' form L_ent + w·L_pos is compared with their threshold, else the mean entropy of the image's maps
    with ``entropy_target``, a fraction of the largest possible. False where no values are known (meta device).
    """
    own = [number for number in tokens.objects_of([image]) if number in losses.entropy]
    if not own:
        return False
    entropy = sum(losses.entropy[number] for number in own)
    if settings.entropy_form == "reference":
        position = sum(losses.position.get(number, 0.0) for number in own)
        total = settings.entropy_weight * entropy + settings.position_weight * position
        return total < THRESHOLDS[min(step.index, len(THRESHOLDS) - 1)] * len(own) / 2 - 2
    return entropy < settings.entropy_target * math.log(losses.pixels) * len(own)


def attention(
    step: Step, context: Tensor, latents: Tensor, images: Sequence[int], layers: Mapping[str, nn.Module]
) -> Tensor:
    """The images' attention over their text [images, pixels, T], from a pass that ends after the last layer.

    Raises RuntimeError where the layers do not see the whole text.
    """
    rows = list(images)
    with AttentionRecorder(layers, stop=True) as recorder:
        recorder.run(lambda: step.predict(latents[rows], context[rows], rows))
    found = recorder.probabilities()
    if found.shape[-1] != context.shape[1]:
        # Regional Prompter
        raise RuntimeError(
            f"the layers see {found.shape[-1]} of {context.shape[1]} tokens: another extension divides the text"
        )
    return found


def _binding_term(
    step: Step, tokens: Tokens, target: Target, objects: Sequence[int], settings: Settings, variable: Tensor, *_: Tensor
) -> tuple[Tensor, Losses]:
    """λ·L_sem: each composite token as a context of one token, against its target."""
    numbers = list(objects)
    composites = with_variable(tokens, variable, settings).composites[numbers, None]
    predicted = step.predict(target.latents[numbers], composites, [tokens.image[number] for number in numbers])
    each = losses.binding(predicted, target.noise[numbers])
    return settings.binding_weight * each.sum(), Losses(binding=_by_object(each, objects))


def _attention_term(
    step: Step,
    tokens: Tokens,
    layers: Mapping[str, nn.Module],
    images: Sequence[int],
    settings: Settings,
    variable: Tensor,
    latents: Tensor,
) -> tuple[Tensor, Losses]:
    """L_ent + w·L_pos on the attention maps of the ``images``, from one pass."""
    tokens = with_variable(tokens, variable, settings)
    objects = tokens.objects_of(images)
    latents = reduced(latents, step.resolution(settings))
    maps = _maps(attention(step, tokens.context, latents, images, layers), tokens, images, settings)
    reference = settings.entropy_form == "reference"
    entropy = 2 * losses.entropy(maps, epsilon=1e-5) if reference else losses.entropy(maps)
    values = Losses(entropy=_by_object(entropy, objects), pixels=maps.shape[-1])
    each = settings.entropy_weight * entropy
    if settings.position_weight:
        size = map_size((latents.shape[-2], latents.shape[-1]), maps.shape[-1])
        targets = torch.cat([losses.position_targets(len(tokens.objects_of([image]))) for image in images])
        position = losses.position(maps, size, targets, form=settings.entropy_form)
        values.position = _by_object(position, objects)
        each = each + settings.position_weight * position
    return each.sum(), values


def _maps(probabilities: Tensor, tokens: Tokens, images: Sequence[int], settings: Settings) -> Tensor:
    """The composite tokens' distributions over pixels, [objects, pixels], in the order of the objects."""
    found = []
    for row, image in enumerate(images):
        positions = [tokens.position[number] for number in tokens.objects_of([image])]
        if settings.entropy_form == "reference":
            found.append(losses.reference_maps(probabilities[row], positions, tokens.text[image]))
        else:
            found.append(losses.paper_maps(probabilities[row][:, positions].T))
    return torch.cat(found)


def _by_object(values: Tensor, objects: Sequence[int]) -> dict[int, float]:
    """The values [N] as numbers under their objects; empty on the meta device, which knows none."""
    return {} if values.is_meta else dict(zip(objects, values.detach().tolist(), strict=True))
