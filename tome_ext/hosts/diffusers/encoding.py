"""What a pipeline's tokenizer and text encoders make of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tome_ext.method.composition import word_embedding
from tome_ext.prompts import Reading, read_prompt
from tome_ext.settings import Settings
from tome_ext.tokens import Located, chunks_of_ids, first_eot, locate


@dataclass(frozen=True)
class Understood:
    """One prompt, read, located and encoded but for its own conditioning, which the pipeline makes.

    ``phrases`` and ``clean`` [T, D]; ``pooled`` [P] of the clean prompt (None where the model has none).
    """

    reading: Reading
    located: Located
    phrases: tuple[Tensor, ...] = ()
    clean: Tensor | None = None
    clean_ends: tuple[int, ...] = ()
    pooled: Tensor | None = None
    outside: dict[str, Tensor] | None = None

    @property
    def warnings(self) -> list[str]:
        """What the user should know about the prompt."""
        found = [*self.reading.warnings, *self.located.warnings]
        return found if self.located.groups else [*found, "no objects to bind in this prompt"]


def understand(
    pipe: Any, prompt: str, settings: Settings, *, clean: str | None = None, clip_skip: int | None = None
) -> Understood:
    """Read ``prompt`` as the settings say, and encode its phrases, its clean prompt and words from outside it.

    Raises GroupSyntaxError for groups that cannot be read.
    """
    reading = read_prompt(
        prompt,
        parser=settings.parser,
        manual=settings.groups,
        clean=clean if clean is not None else settings.clean_prompt,
        syntax="plain",
    )
    tokenizer = pipe.tokenizer or pipe.tokenizer_2
    located = locate(reading, [token_ids(tokenizer, prompt)], lambda text: bare_ids(tokenizer, text), syntax="plain")
    if not located.groups:
        return Understood(reading, located)
    groups = [group.group for group in located.groups]
    phrases = [group.phrase for group in groups] if settings.refines else []
    outside = list(dict.fromkeys(term.text for group in groups for term in group.extra if term.span is None))
    vectors, pooled = encode(pipe, [*phrases, *outside, reading.clean], clip_skip)
    words = vectors[len(phrases) : -1]
    ends = [first_eot(chunk) for chunk in chunks_of_ids([token_ids(tokenizer, text) for text in outside])]
    return Understood(
        reading,
        located,
        tuple(vectors[: len(phrases)]),
        None if reading.clean_problem else vectors[-1],
        tuple(first_eot(chunk) for chunk in chunks_of_ids([token_ids(tokenizer, reading.clean)])),
        None if pooled is None or reading.clean_problem else pooled[-1],
        {text: word_embedding(row, end) for text, row, end in zip(outside, words, ends, strict=True)},
    )


@torch.no_grad()
def encode(pipe: Any, texts: Sequence[str], clip_skip: int | None = None) -> tuple[Tensor, Tensor | None]:
    """The pipeline's own encoding of ``texts``: [N, T, D], and SDXL's pooled vectors [N, P]."""
    made = pipe.encode_prompt(
        prompt=list(texts),
        device=pipe._execution_device,
        num_images_per_prompt=1,
        do_classifier_free_guidance=False,
        clip_skip=clip_skip,
    )
    return made[0], made[2] if len(made) > 2 else None


def token_ids(tokenizer: Any, text: str) -> list[int]:
    """The tokens of ``text`` as the pipeline gives them to the encoder: padded and cut to its length."""
    made = tokenizer(text, padding="max_length", max_length=tokenizer.model_max_length, truncation=True)
    return list(made.input_ids)


def bare_ids(tokenizer: Any, text: str) -> list[int]:
    """The tokens of ``text`` without start and end tokens, however long."""
    return list(tokenizer(text, add_special_tokens=False, truncation=False).input_ids)
