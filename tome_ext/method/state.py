"""What passes between a host and the refinement: a model call, the tokens of a job, a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from tome_ext.settings import Settings


@dataclass(frozen=True)
class Step:
    """One model call of the sampler, as a host describes it.

    ``latents`` [B, C, h, w]: what the UNet is given for the B images, scaled as it expects. ``predict``: the
    noise ε [R, C, h, w] for latents [R, C, h, w], a context [R, T, D] in float32 and the image (0 … B − 1) that
    each of the R rows belongs to; it lets gradients through, raises to interrupt, casts to the model's
    precision, and converts other predictions (v, x0) to ε. ``index`` of ``total``: where in the run this call
    is. ``sigma``: noise over signal, √((1 − ᾱ)/ᾱ). ``null``: the negative conditioning [B, T, D] and
    ``guidance``: its scale, both needed for ``phrase_latent`` = "own" alone. ``resizable``: whether ``predict`` takes
    latents of other sizes; False where it adds something of the picture's size (inpainting, ControlNet).
    ``noise_place``: where the call's noise level lies in the model's whole schedule, 0 at pure noise and 1 at the
    image (:func:`tome_ext.method.window.noise_place`); None: the run covers the whole schedule evenly.
    """

    unet: nn.Module
    latents: Tensor
    predict: Callable[[Tensor, Tensor, Sequence[int]], Tensor]
    index: int
    total: int
    sigma: float
    null: Tensor | None = None
    guidance: float = 1.0
    resizable: bool = True
    noise_place: float | None = None

    @property
    def place(self) -> float:
        """Where in the schedule this call is, from 0 (pure noise) to 1."""
        return self.index / self.total if self.noise_place is None else self.noise_place

    def resolution(self, settings: Settings) -> float:
        """Which fraction of the latents' height and width the losses see."""
        return settings.resolution if self.resizable else 1.0


@dataclass(frozen=True)
class Trajectory:
    """Where each phrase's own sampling stands: latents [N, C, h, w] as the UNet sees them, and Euler's direction."""

    latents: Tensor
    direction: Tensor
    sigma: float


@dataclass(frozen=True)
class Tokens:
    """The conditioning of a job and its composite tokens.

    ``context`` [B, T, D], merged. For each of N composite tokens: the ``image`` it belongs to, its ``position``
    there, and the encoded ``phrase`` [N, T', D]. Composite tokens of one image stand together. ``text``: for
    each image the positions of the prompt's own tokens, without start, end and padding tokens.
    ``trajectory``: None before the first refined step, and always with ``phrase_latent`` = "same". ``longest``: the
    length of each image's longest token [B] as it was before refinement; None before the first refined step.
    """

    context: Tensor
    image: tuple[int, ...]
    position: tuple[int, ...]
    phrase: Tensor
    text: tuple[tuple[int, ...], ...] = ()
    trajectory: Trajectory | None = None
    longest: Tensor | None = None

    @property
    def composites(self) -> Tensor:
        """The composite tokens [N, D]."""
        return self.context[list(self.image), list(self.position)]

    def with_composites(self, composites: Tensor) -> Tokens:
        """The same with other composite tokens [N, D]."""
        where = tuple(torch.tensor(index, device=self.context.device) for index in (self.image, self.position))
        return replace(self, context=self.context.index_put(where, composites))

    def objects_of(self, images: Sequence[int]) -> list[int]:
        """The numbers of the composite tokens that belong to ``images``."""
        return [number for number, image in enumerate(self.image) if image in images]


@dataclass
class Losses:
    """Values of the losses of one iteration, by the number of the object; ``pixels``: the size of the maps."""

    binding: dict[int, float] = field(default_factory=dict)
    entropy: dict[int, float] = field(default_factory=dict)
    position: dict[int, float] = field(default_factory=dict)
    pixels: int = 0

    def update(self, other: Losses) -> None:
        """Take in the values of another part of the objects."""
        self.binding |= other.binding
        self.entropy |= other.entropy
        self.position |= other.position
        self.pixels = max(self.pixels, other.pixels)


@dataclass
class Report:
    """What refinement did in one step: for each loss and iteration, the value of each object by its number.

    ``updates``: how many tokens and latents were to be moved; ``discarded``: how many of them stayed where they
    were, because their gradient was not finite.
    """

    step: int
    binding: list[dict[int, float]] = field(default_factory=list)
    entropy: list[dict[int, float]] = field(default_factory=list)
    position: list[dict[int, float]] = field(default_factory=list)
    updates: int = 0
    discarded: int = 0

    def add(self, losses: Losses) -> None:
        """Note the losses of one iteration."""
        self.entropy.append(losses.entropy)
        self.position.append(losses.position)
        if losses.binding:
            self.binding.append(losses.binding)

    @property
    def nothing_moved(self) -> bool:
        """Whether every update of the step was discarded."""
        return 0 < self.updates == self.discarded

    @property
    def warnings(self) -> list[str]:
        """What the user should know; the same for every step, so that it is said once for a run."""
        return ["some updates had gradients that are no finite numbers, and were left out"] if self.discarded else []
