"""A prompt as a host's tokenizer and text encoders see it: read, located and encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from tome_ext.method.composition import Encoded, word_embedding
from tome_ext.prompts import Reading, read_prompt
from tome_ext.settings import Settings
from tome_ext.tokens import CHUNK, Located, chunk_of, first_eot, locate


class UnsupportedText(ValueError):
    """A text whose tokens have no certain positions in the conditioning."""


@dataclass(frozen=True)
class Encoding:
    """A text as the text encoders see it: ``tokens`` [T, D], and SDXL's ``vector`` [V] (None elsewhere)."""

    tokens: Tensor
    vector: Tensor | None = None


class TextEncoder(Protocol):
    """A model's tokenizer and text encoders.

    ``syntax``: the prompt language, "a1111", "comfy" or "plain". ``chunk_length``: the tokens of one chunk, start and
    end tokens included.
    """

    @property
    def syntax(self) -> str:
        """The prompt language."""
        ...

    @property
    def chunk_length(self) -> int:
        """The tokens of one chunk."""
        ...

    def chunks(self, text: str) -> Sequence[Any]:
        """The host's own token chunks of ``text``. Raises UnsupportedText where positions are not certain."""
        ...

    def ids(self, text: str) -> Sequence[int]:
        """The tokens of ``text`` without start and end tokens and without any syntax."""
        ...

    def encode(self, text: str) -> Encoding:
        """``text`` encoded alone, with the same settings as the prompt. The caller may keep and change the result."""
        ...


@dataclass(frozen=True)
class EncodedPrompt:
    """One text, read, located and encoded but for its own conditioning, which the host computes.

    ``vector``: SDXL's vector [V] of the clean prompt. The other encodings are those of :class:`Encoded`.
    """

    reading: Reading
    located: Located
    phrases: tuple[Tensor, ...] = ()
    clean: Tensor | None = None
    clean_ends: tuple[int, ...] = ()
    vector: Tensor | None = None
    outside: dict[str, Tensor] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """What the user should know about the prompt."""
        found = [*self.reading.warnings, *self.located.warnings]
        return found if self.located.groups else [*found, "no objects to bind in this prompt"]

    def encoded(self, conditioning: Tensor) -> Encoded:
        """The text with its own conditioning [T, D]."""
        return Encoded(conditioning, self.located, self.phrases, self.clean, self.clean_ends, self.outside)


def encode_prompt(
    encoder: TextEncoder, text: str, settings: Settings, *, refine: bool, clean: str | None = None
) -> EncodedPrompt:
    """Read ``text`` as the settings say; encode its phrases (to ``refine``), its clean prompt and words from outside.

    ``clean``: the clean prompt by hand, in place of the settings' own. Each text is encoded alone, so that none
    depends on what else is in the batch. Raises GroupSyntaxError for groups that cannot be read.
    """
    reading = read_prompt(
        text,
        parser=settings.parser,
        manual=settings.groups,
        clean=settings.clean_prompt if clean is None else clean,
        syntax=encoder.syntax,
        min_objects=settings.min_objects,
    )
    located = _located(encoder, reading)
    if not located.groups:
        return EncodedPrompt(reading, located)
    groups = [group.group for group in located.groups]
    ends = _encoding_of_clean(encoder, reading, settings)
    outside = dict.fromkeys(term.text for group in groups for term in group.extra if term.span is None)
    return EncodedPrompt(
        reading,
        located,
        phrases=tuple(encoder.encode(group.encoded_phrase).tokens for group in groups) if refine else (),
        clean=ends.tokens if ends is not None and substitutes_ends(reading, settings) else None,
        clean_ends=_ends(encoder, reading.clean),
        vector=ends.vector if ends is not None and settings.pooled == "clean" else None,
        outside={word: word_embedding(encoder.encode(word).tokens, _ends(encoder, word)[0]) for word in outside},
    )


def substitutes_ends(reading: Reading, settings: Settings) -> bool:
    """Whether the prompt's end tokens come from its clean prompt, as the setting ``ets`` has it.

    "auto" follows the authors' two settings: on where an object has sub-objects, off where all have attributes alone.
    """
    return settings.ets == "on" or (settings.ets == "auto" and any(group.has_sub_object for group in reading.groups))


def _located(encoder: TextEncoder, reading: Reading) -> Located:
    try:
        if encoder.chunk_length != CHUNK:
            raise UnsupportedText(f"the text encoder has chunks of {encoder.chunk_length} tokens, not of {CHUNK}")
        return locate(reading, encoder.chunks(reading.text), encoder.ids, syntax=encoder.syntax)
    except UnsupportedText as problem:
        return Located((), (), (f"no object is bound: {problem}",) if reading.groups else ())


def _encoding_of_clean(encoder: TextEncoder, reading: Reading, settings: Settings) -> Encoding | None:
    """The clean prompt's encoding, where it is used and fit for use."""
    used = substitutes_ends(reading, settings) or settings.pooled == "clean"
    return encoder.encode(reading.clean) if used and not reading.clean_problem else None


def _ends(encoder: TextEncoder, text: str) -> tuple[int, ...]:
    return tuple(first_eot(chunk_of(chunk)) for chunk in encoder.chunks(text))
