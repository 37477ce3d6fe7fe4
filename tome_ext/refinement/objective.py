"""The loss of a job's composite tokens at one model call, and the target that the binding loss compares with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tome_ext import losses
from tome_ext.attention import AttentionRecorder, map_size
from tome_ext.precision import widened
from tome_ext.refinement.job import Step, Tokens, Trajectory
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
def phrase_target(step: Step, tokens: Tokens, settings: Settings) -> Target:
    """The noise predicted from each phrase, without gradient, at the image's latent or on the phrase's own path."""
    latents = step.latents[list(tokens.image)]
    if settings.phrase_latent == "same":
        return Target(latents, step.predict(latents, widened(tokens.phrase), tokens.image))
    if step.null is None:
        raise ValueError("phrase_latent = 'own' needs the negative conditioning")
    # The authors' code samples each phrase by Euler's method, with the guidance's sign reversed, and steps from
    # the latent as the UNet was given it.
    past = tokens.trajectory
    if past is not None:
        moved = widened(past.latents) + (step.sigma - past.sigma) * past.direction
        latents = (moved / math.sqrt(1 + step.sigma**2)).to(latents.dtype)
    noise = widened(step.predict(latents, widened(tokens.phrase), tokens.image))
    null = widened(step.predict(latents, widened(step.null[list(tokens.image)]), tokens.image))
    direction = null + step.guidance * (null - noise)
    return Target(latents, noise, Trajectory(latents, direction, step.sigma))


def binding_losses(step: Step, composites: Tensor, tokens: Tokens, target: Target, objects: Sequence[int]) -> Tensor:
    """L_sem of the ``objects``: each composite token [N, D] as a context of one token, against its target."""
    images = [tokens.image[number] for number in objects]
    predicted = step.predict(target.latents[list(objects)], composites[list(objects), None], images)
    return losses.binding(predicted, target.noise[list(objects)])


def attention(
    step: Step, context: Tensor, latents: Tensor, images: Sequence[int], layers: Mapping[str, nn.Module]
) -> Tensor:
    """The images' attention over their text [images, pixels, T], from a pass that ends after the last layer."""
    rows = list(images)
    with AttentionRecorder(layers, stop=True) as recorder:
        recorder.run(lambda: step.predict(latents[rows], context[rows], rows))
    return recorder.probabilities()


def evaluate(
    step: Step,
    tokens: Tokens,
    latents: Tensor,
    target: Target | None,
    images: Sequence[int],
    layers: Mapping[str, nn.Module],
    settings: Settings,
) -> tuple[Tensor | None, Values]:
    """The summed loss of the ``images``, those left out that are done; None when all are.

    Entropy and position losses are evaluated at ``latents`` [B, C, h, w], the binding loss at its target's.
    """
    objects = tokens.objects_of(images)
    values = Values()
    parts: list[Tensor] = []
    if settings.entropy_weight or settings.position_weight:
        probabilities = attention(step, tokens.context, latents, images, layers)
        maps = _maps(probabilities, tokens, images, settings)
        entropy = _entropy(maps, settings)
        values.entropy = by_object(entropy, objects)
        values.finished = _finished(step, tokens, images, values.entropy, maps.shape[-1], settings)
        parts.append(settings.entropy_weight * entropy)
        if settings.position_weight:
            size = map_size((latents.shape[-2], latents.shape[-1]), maps.shape[-1])
            targets = torch.cat([losses.position_targets(len(tokens.objects_of([image]))) for image in images])
            position = losses.position(maps, size, targets)
            values.position = by_object(position, objects)
            parts.append(settings.position_weight * position)
    going = [number for number, name in enumerate(objects) if tokens.image[name] not in values.finished]
    if not going:
        return None, values
    if target is not None:
        binding = binding_losses(step, tokens.composites, tokens, target, objects)
        values.binding = by_object(binding, objects)
        parts.append(settings.binding_weight * binding)
    return (sum(part[going].sum() for part in parts) if parts else None), values  # type: ignore[return-value]


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
