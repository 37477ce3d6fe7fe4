"""The three losses (docs/METHOD.md, "The four parts", 3 and 4, and "Paper against the authors' code").

Functions of tensors, differentiable, one value per object. ``maps`` are distributions over pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tome_ext.method.precision import widened


def binding(composite: Tensor, phrase: Tensor) -> Tensor:
    """Semantic binding loss [N]: mean squared difference of the noise predicted from each of N composite
    tokens alone and from its encoded phrase, both [N, C, h, w] (paper, section 3.3).

    The mean, not the sum, over the elements, so that it does not depend on the image's size.
    """
    return (widened(composite) - widened(phrase.detach())).square().mean(dim=(1, 2, 3))


def paper_maps(probabilities: Tensor) -> Tensor:
    """Distributions over pixels [N, pixels] from N tokens' attention [N, pixels]: normalised to sum 1."""
    return probabilities / probabilities.sum(-1, keepdim=True)


def reference_maps(probabilities: Tensor, positions: Sequence[int], text: Sequence[int]) -> Tensor:
    """The authors' code: distributions [K, pixels] of the tokens at ``positions`` of one image.

    ``probabilities`` [pixels, T] is the attention over all tokens, ``text`` the positions of the prompt's own
    tokens, start and end tokens left out. Softmax over the text at temperature 0.5, then each map stretched
    to 0…1, then normalised to sum 1.
    """
    over_text = (probabilities[:, list(text)] / 0.5).softmax(-1)
    maps = over_text[:, [text.index(position) for position in positions]].T
    low, high = maps.amin(-1, keepdim=True), maps.amax(-1, keepdim=True)
    stretched = (maps - low) / (high - low)
    return stretched / stretched.sum(-1, keepdim=True)


def entropy(maps: Tensor, epsilon: float = 0.0) -> Tensor:
    """Entropy [N] in nats of N distributions [N, pixels]; ``epsilon`` is added in the logarithm (1e-5 in the code)."""
    if epsilon:
        return -(maps * (maps + epsilon).log()).sum(-1)
    return -(maps * maps.clamp(min=torch.finfo(maps.dtype).tiny).log()).sum(-1)


def position(maps: Tensor, size: tuple[int, int], targets: Tensor, form: str = "paper") -> Tensor:
    """Squared distance [N] of each map's centroid from its target, in 32nds of the image, averaged over x and y.

    ``maps`` [N, pixels] of height and width ``size``; ``targets`` [N, 2] are x and y as fractions (paper's
    appendix: two objects, at x = 10/32 and 25/32, y = 16/32). Pixel i of n lies at its centre, (i + ½)/n, so that an
    even map has its centroid in the middle at any size; with ``form`` "reference" it lies at i/(n − 1), as in the
    authors' code.
    """
    height, width = size
    grid = maps.view(-1, height, width)
    x = (grid.sum(1) * _pixels(width, form, maps)).sum(-1)
    y = (grid.sum(2) * _pixels(height, form, maps)).sum(-1)
    distance = (torch.stack((x, y), -1) - targets.to(maps)) * 32
    return distance.square().mean(-1)


def _pixels(count: int, form: str, like: Tensor) -> Tensor:
    """Where ``count`` pixels lie between 0 and 1."""
    if form == "reference":
        return torch.linspace(0, 1, count, device=like.device)
    return (torch.arange(count, device=like.device) + 0.5) / count


def position_targets(count: int) -> Tensor:
    """Targets [count, 2] from left to right: the paper's two for two objects, evenly between them for more."""
    x = torch.linspace(10 / 32, 25 / 32, count) if count > 1 else torch.full((count,), 16 / 32)
    return torch.stack((x, torch.full((count,), 16 / 32)), -1)
