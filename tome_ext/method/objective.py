"""The loss of a job's composite tokens at one model call, and the target that the binding loss compares with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from tome_ext.method import losses
from tome_ext.method.attention import AttentionRecorder, map_size
from tome_ext.method.precision import widened
from tome_ext.method.resolution import reduced
from tome_ext.method.state import Step, Tokens, Trajectory
from tome_ext.settings import Settings

# The authors' early stop: step i ends below THRESHOLDS[i] · K/2 − 2 for K objects; the last holds from there on.
THRESHOLDS = (26.0, 25.0, 24.0, 23.0, 22.5, 22.0, 21.5, 21.0, 21.0, 21.0)


@dataclass(frozen=True)
class Target:
    """What the binding loss compares with: latents [N, C, h, w] and the noise there, predicted from the phrases."""

    latents: Tensor
    noise: Tensor
    trajectory: Trajectory | None = None


@dataclass
class Values:
    """Loss values of one iteration by object, and the images that are done with this step."""

    binding: dict[int, float] = field(default_factory=dict)
    entropy: dict[int, float] = field(default_factory=dict)
    position: dict[int, float] = field(default_factory=dict)
    finished: set[int] = field(default_factory=set)


@torch.no_grad()
def phrase_target(step: Step, tokens: Tokens, settings: Settings, rows: int | None = None) -> Target:
    """The noise predicted from each phrase, without gradient, at the image's latent or on the phrase's own path.

    ``rows``: how many phrases go through the UNet at once; None: all.
    """
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


def binding_losses(step: Step, composites: Tensor, tokens: Tokens, target: Target, objects: Sequence[int]) -> Tensor:
    """L_sem of the ``objects``: each composite token [N, D] as a context of one token, against its target."""
    images = [tokens.image[number] for number in objects]
    predicted = step.predict(target.latents[list(objects)], composites[list(objects), None], images)
    return losses.binding(predicted, target.noise[list(objects)])


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


def with_variable(tokens: Tokens, variable: Tensor, settings: Settings) -> Tokens:
    """The tokens with the ``variable`` of the descent in place: the composites [N, D], or the context [B, T, D]."""
    return replace(tokens, context=variable) if settings.update == "all" else tokens.with_composites(variable)


def evaluate(
    step: Step,
    tokens: Tokens,
    variable: Tensor,
    latents: Tensor,
    target: Target | None,
    images: Sequence[int],
    layers: Mapping[str, nn.Module],
    settings: Settings,
    rows: int | None = None,
) -> tuple[Iterator[Tensor], Values]:
    """The terms of the loss of the ``images``, those left out that are done; none when all are.

    ``tokens`` are taken with the ``variable`` (:func:`with_variable`), in each term anew: no two share a graph.
    Entropy and position losses are evaluated at ``latents`` [B, C, h, w], reduced to the ``resolution`` of the
    settings, the binding loss at its target's. Each term is computed when it is asked for, from at most ``rows``
    rows of the UNet (None: no limit), and enters its part of the values then.
    """
    values = Values()

    def terms() -> Iterator[Tensor]:
        if settings.entropy_weight or settings.position_weight:
            for some in portions(images, rows):
                now = with_variable(tokens, variable, settings)
                yield from _attention_term(step, now, latents, some, layers, settings, values)
        if target is None:
            return
        going = [number for number in tokens.objects_of(images) if tokens.image[number] not in values.finished]
        for objects in portions(going, rows):
            composites = with_variable(tokens, variable, settings).composites
            binding = binding_losses(step, composites, tokens, target, objects)
            values.binding |= by_object(binding, objects)
            yield settings.binding_weight * binding.sum()

    return terms(), values


def _attention_term(
    step: Step,
    tokens: Tokens,
    latents: Tensor,
    images: Sequence[int],
    layers: Mapping[str, nn.Module],
    settings: Settings,
    values: Values,
) -> Iterator[Tensor]:
    """The losses on the attention maps of the ``images``, from one pass; nothing when all of them are done."""
    objects = tokens.objects_of(images)
    latents = reduced(latents, step.resolution(settings))
    maps = _maps(attention(step, tokens.context, latents, images, layers), tokens, images, settings)
    entropy = _entropy(maps, settings)
    values.entropy |= by_object(entropy, objects)
    values.finished |= _finished(step, tokens, images, values.entropy, maps.shape[-1], settings)
    each = settings.entropy_weight * entropy
    if settings.position_weight:
        size = map_size((latents.shape[-2], latents.shape[-1]), maps.shape[-1])
        targets = torch.cat([losses.position_targets(len(tokens.objects_of([image]))) for image in images])
        position = losses.position(maps, size, targets)
        values.position |= by_object(position, objects)
        each = each + settings.position_weight * position
    going = [number for number, name in enumerate(objects) if tokens.image[name] not in values.finished]
    if going:
        yield each[going].sum()


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


def _entropy(maps: Tensor, settings: Settings) -> Tensor:
    if settings.entropy_form == "reference":
        return 2 * losses.entropy(maps, epsilon=1e-5)
    return losses.entropy(maps)


def _finished(
    step: Step, tokens: Tokens, images: Sequence[int], entropy: dict[int, float], pixels: int, settings: Settings
) -> set[int]:
    """The images whose entropy is low enough; none where the values are not known (meta device)."""
    finished = set()
    for image in images if entropy else ():
        own = [entropy[number] for number in tokens.objects_of([image])]
        if settings.entropy_form == "reference":
            threshold = THRESHOLDS[min(step.index, len(THRESHOLDS) - 1)] * len(own) / 2 - 2
        else:
            threshold = settings.entropy_target * math.log(pixels) * len(own)
        if sum(own) < threshold:
            finished.add(image)
    return finished


def by_object(values: Tensor, objects: Sequence[int]) -> dict[int, float]:
    """The values [N] as numbers under their objects; empty on the meta device, which knows none."""
    return {} if values.is_meta else dict(zip(objects, values.detach().tolist(), strict=True))
