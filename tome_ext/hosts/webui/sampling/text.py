"""What the host's tokenizer and text encoders make of one text of the prompt."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from tome_ext.hosts.webui.protocol import TextEncoder
from tome_ext.method.composition import Encoded, word_embedding
from tome_ext.prompts import Reading, read_prompt
from tome_ext.settings import Settings
from tome_ext.tokens import Located, chunk_of, first_eot, locate


@dataclass(frozen=True)
class Understood:
    """One text, read, located and encoded but for its own conditioning, which the host makes.

    ``vector``: SDXL's vector [V] of the clean prompt. The other encodings are those of :class:`Encoded`.
    """

    reading: Reading
    located: Located
    phrases: tuple[Tensor, ...] = ()
    clean: Tensor | None = None
    clean_ends: tuple[int, ...] = ()
    vector: Tensor | None = None
    outside: dict[str, Tensor] = field(default_factory=dict)

    def encoded(self, conditioning: Tensor) -> Encoded:
        """The text with its own conditioning [T, D]."""
        return Encoded(conditioning, self.located, self.phrases, self.clean, self.clean_ends, self.outside)


def understand(encoder: TextEncoder, text: str, settings: Settings, *, refine: bool) -> Understood:
    """Read ``text`` as the settings say; encode its phrases (to ``refine``), its clean prompt and words from outside.

    Each is encoded alone, so that none depends on what else is in the batch. Raises GroupSyntaxError for groups
    that cannot be read.
    """
    reading = read_prompt(text, parser=settings.parser, manual=settings.groups, clean=settings.clean_prompt)
    located = locate(reading, encoder.chunks(text), encoder.ids)
    if not located.groups:
        return Understood(reading, located)
    groups = [group.group for group in located.groups]
    wanted = (settings.ets or settings.pooled == "clean") and not reading.clean_problem
    clean = encoder.encode(reading.clean) if wanted else None
    outside = dict.fromkeys(term.text for group in groups for term in group.extra if term.span is None)
    return Understood(
        reading,
        located,
        phrases=tuple(encoder.encode(group.phrase).tokens for group in groups) if refine else (),
        clean=clean.tokens if clean is not None and settings.ets else None,
        clean_ends=_ends(encoder, reading.clean),
        vector=clean.vector if clean is not None and settings.pooled == "clean" else None,
        outside={word: word_embedding(encoder.encode(word).tokens, _ends(encoder, word)[0]) for word in outside},
    )


def _ends(encoder: TextEncoder, text: str) -> tuple[int, ...]:
    return tuple(first_eot(chunk_of(chunk)) for chunk in encoder.chunks(text))
