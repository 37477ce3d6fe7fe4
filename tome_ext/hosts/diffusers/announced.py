"""What ``attach`` was given, and whether a call of the pipeline samples just that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tome_ext.hosts.common.text import EncodedPrompt
from tome_ext.hosts.diffusers.call import Mismatch, UNetCall

# The largest difference of a token from our own encoding, in its length, that rounding explains: encoders add up
# batches of other sizes in another order. A word more or less changes tokens by tenths.
_ROUNDING = {torch.float64: 5e-3, torch.float32: 5e-3, torch.float16: 2e-2}
_BFLOAT16 = 5e-2


@dataclass(frozen=True)
class Announced:
    """An image's prompt, and its own encoding [T, D] (None where there is nothing to bind)."""

    prompt: EncodedPrompt
    conditioning: Tensor | None

    @property
    def bound(self) -> bool:
        """Whether the prompt has groups to merge."""
        return bool(self.prompt.located.groups)


def texts_of(given: str | Sequence[str], name: str) -> list[str]:
    """The texts of an argument: one, or a sequence of them. TypeError, with its ``name``, for anything else."""
    if isinstance(given, str):
        return [given]
    texts = list(given) if isinstance(given, Sequence) else [given]
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{name}: must be a string or a sequence of strings, not one of {type(text).__name__}")
    return texts


def compare(call: UNetCall, images: Sequence[Announced]) -> None:
    """Mismatch where the conditioning of a ``call`` is not that of the announced prompts."""
    for number, (row, image) in enumerate(zip(call.conditioning, images, strict=True)):
        if image.conditioning is None or _same(row, image.conditioning):
            continue
        raise Mismatch(
            f"the conditioning of image {number + 1} is not that of its announced prompt {_short(image)!r}. The call "
            "has to have the same prompt, no other prompt_2, no prompt_embeds of another text, and the clip_skip and "
            "LoRA scale given to attach()"
        )
    null = call.null
    if null is not None and not call.guidance_known:
        for row, image in zip(null, images, strict=True):
            if image.conditioning is not None and _same(row, image.conditioning):
                raise Mismatch(f"attached for {len(images)} image(s), but the pipeline samples {call.batch}")


def _same(row: Tensor, own: Tensor) -> bool:
    if row.shape != own.shape:
        return False
    expected = own.to(row.device).float()
    differences = (row.float() - expected).norm(dim=-1) / expected.norm(dim=-1).clamp(min=1e-6)
    return bool((differences <= _ROUNDING.get(row.dtype, _BFLOAT16)).all())


def _short(image: Announced) -> str:
    text = image.prompt.reading.text
    return text if len(text) <= 60 else text[:59] + "…"
