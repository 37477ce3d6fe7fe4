"""What differs between AUTOMATIC1111, Forge and reForge: the host as the method needs it.

A host is one object without state of its own. Rows: one for each part (``AND``) of each image's prompt, the images
in order and the parts of an image together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from tome_ext.hosts.common import text as common
from tome_ext.hosts.common.text import Encoding as Encoding
from tome_ext.method.state import Step


@dataclass(frozen=True)
class Entry:
    """A text that holds up to and including a model call, by prompt editing; ``length`` is its own number of tokens."""

    end_at_step: int
    text: str
    length: int


Schedule = tuple[Entry, ...]

# Where a call leaves, on the sampler's own model wrapper, its job's ``p`` and what is to happen once to the callback
# ``on_cfg_denoised``.
AFTER = "_tome_after"


class TextEncoder(common.TextEncoder, Protocol):
    """The loaded model's text encoders, as they are set for the sampling pass that is about to start."""

    def zero_pooled_vector(self) -> Tensor | None:
        """SDXL's vector [V] with zeros in place of the pooled text; None for a model without one."""
        ...


class Call(Protocol):
    """One model call of the sampler, as the host's callback sees it; nothing changes before :meth:`change`."""

    index: int
    total: int
    schedule_step: int
    conditioning: object  # what the prompts were encoded to; another object after a switch of models

    @property
    def place(self) -> float:
        """Where the call's noise level lies in the model's whole schedule, from 0 (pure noise) to 1."""
        ...

    @property
    def context(self) -> Tensor:
        """The text conditioning [rows, T, D]."""
        ...

    @property
    def vector(self) -> Tensor | None:
        """SDXL's vectors [rows, V]."""
        ...

    def step(self, row: int, image: int, vector: Tensor | None) -> Step:
        """The call as the refinement sees it, for one row; ``vector`` [V] goes with every prediction."""
        ...

    def change(
        self, context: Tensor, vector: Tensor | None, latents: Mapping[int, Tensor], images: Sequence[int]
    ) -> None:
        """Put other text into the call, and other latents [1, C, h, w] (model-input scale) for some rows.

        ``images``: the image of each row. Other latents are for this prediction alone: the sampler steps from its own.
        """
        ...


class Host(Protocol):
    """A WebUI."""

    def encoder(self, p: Any, second: bool) -> TextEncoder:
        """The text encoders for a pass of job ``p``; ``second``: the second pass of hires fix."""
        ...

    def schedules(self, p: Any, second: bool, conditioning: Any) -> list[list[Schedule]]:
        """For each image and each part of its prompt, the texts over the run.

        Raises LookupError where ``conditioning`` is not what the job's prompts give.
        """
        ...

    def call(self, params: Any) -> Call:
        """The model call that the callback's ``params`` stand for."""
        ...

    def unet(self) -> nn.Module | None:
        """The UNet that makes the next prediction; None where it is not one with cross-attention layers."""
        ...

    def refinement_obstacle(self) -> str:
        """Why refinement cannot run with the host's present options; empty where it can."""
        ...

    def pass_obstacle(self) -> str:
        """Why no pass of our own may go through the UNet, not even without gradient; empty where one may."""
        ...

    def ordinary_tensors(self) -> AbstractContextManager[object]:
        """Where all our work during sampling is done: tensors made within are ordinary ones.

        The host's own random numbers stay undrawn.
        """
        ...

    def gradient(self) -> AbstractContextManager[object]:
        """What gradients through the UNet need beside :meth:`ordinary_tensors`, and nothing of it afterwards."""
        ...

    def free_memory(self) -> None:
        """Give unused memory back to the device."""
        ...

    def mask_count(self, p: Any) -> int:
        """How many masks stand behind each image among the finished pictures."""
        ...

    def comment(self, p: Any, text: str) -> None:
        """Show plain ``text`` under the image, once."""
        ...

    def log_exception(self, message: str) -> None:
        """Print a message with the traceback of the exception being handled."""
        ...
