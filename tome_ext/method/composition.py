"""From what was read and encoded to the tokens of a job: the step that every host takes alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from tome_ext.method.merging import Composite, merge, merged_ends, substitute_end_tokens
from tome_ext.method.state import Tokens
from tome_ext.settings import Settings
from tome_ext.tokens import CHUNK, Located, LocatedGroup


@dataclass(frozen=True)
class Encoded:
    """The encoded prompt of one image.

    ``conditioning`` [T, D]: the host's own. ``located``: its groups' positions. ``phrases``: the encoding
    [T', D] of each group's phrase, empty where nothing is refined. ``clean`` [T'', D] with its EOT positions
    ``clean_ends``: the clean prompt; None without end token substitution. ``outside``: the embedding [D]
    of each word from outside the prompt.
    """

    conditioning: Tensor
    located: Located
    phrases: tuple[Tensor, ...] = ()
    clean: Tensor | None = None
    clean_ends: tuple[int, ...] = ()
    outside: Mapping[str, Tensor] = field(default_factory=dict)


def composites(encoded: Encoded, settings: Settings) -> list[Composite]:
    """What the composite token of each group is made of, with the settings' weights; none at the strength 0."""
    if settings.strength == 0:
        return []
    return [_composite(group, encoded.outside, settings) for group in encoded.located.groups]


def compose(images: Sequence[Encoded], settings: Settings) -> Tokens:
    """The merged tokens of a batch, before end token substitution. All conditionings have the same T."""
    context: list[Tensor] = []
    phrases: list[Tensor] = []
    text: list[tuple[int, ...]] = []
    image: list[int] = []
    position: list[int] = []
    for number, encoded in enumerate(images):
        parts = composites(encoded, settings)
        merged, positions = merge(encoded.conditioning, parts, settings.members)
        context.append(merged)
        image += [number] * len(positions)
        position += positions
        text.append(_text_positions(encoded, parts, settings))
        phrases += encoded.phrases if parts else ()
    return Tokens(torch.stack(context), tuple(image), tuple(position), _stack(phrases, context[0]), tuple(text))


def substitute_ends(tokens: Tokens, images: Sequence[Encoded], settings: Settings) -> Tokens:
    """The tokens with every image's end tokens from its clean prompt; images without groups stay as they are."""
    context = []
    for row, encoded in zip(tokens.context, images, strict=True):
        parts = composites(encoded, settings)
        if encoded.clean is None or not parts:
            context.append(row)
            continue
        ends = merged_ends(encoded.located.ends, parts, settings.members)
        clean = (encoded.clean, encoded.clean_ends, settings.members)
        kept = {place: part.share for part in parts for place in part.members - part.removed}
        closing = kept if settings.members == "close" else {}
        context.append(substitute_end_tokens(row, ends, *clean, share=min(settings.strength, 1.0), kept=closing))
    return replace(tokens, context=torch.stack(context))


def pooled(own: Tensor, clean: Tensor, settings: Settings) -> Tensor:
    """SDXL's pooled vector with ``pooled`` = "clean", as far as the settings' strength goes."""
    clean = clean.to(own)
    return clean if settings.strength >= 1 else own + settings.strength * (clean - own)


def word_embedding(conditioning: Tensor, end: int) -> Tensor:
    """The embedding [D] of a word encoded alone: the sum of its tokens in ``conditioning`` [T, D], EOT at ``end``."""
    return conditioning[1:end].sum(0)


def _composite(group: LocatedGroup, outside: Mapping[str, Tensor], settings: Settings) -> Composite:
    """Up to a strength of 1 a share of the composite; above it, more of the attributes."""
    strength = settings.strength * group.group.strength
    more = max(strength, 1.0)
    terms = [(settings.noun_weight, _flat(place)) for place in group.noun]
    terms += [(more * settings.related_weight, _flat(place)) for places in group.related for place in places]
    vectors = []
    for term, places in zip(group.group.extra, group.extra, strict=True):
        weight = more * (settings.related_weight if term.weight is None else term.weight)
        terms += [(weight, _flat(place)) for place in places]
        if term.span is None:
            vectors.append((weight, outside[term.text]))
    return Composite(_flat(group.noun[0]), tuple(terms), tuple(vectors), min(strength, 1.0))


def _text_positions(encoded: Encoded, parts: Sequence[Composite], settings: Settings) -> tuple[int, ...]:
    ends = merged_ends(encoded.located.ends, parts, settings.members)
    return tuple(chunk * CHUNK + index for chunk, end in enumerate(ends) for index in range(1, end))


def _flat(place: tuple[int, int]) -> int:
    return place[0] * CHUNK + place[1]


def _stack(phrases: Sequence[Tensor], like: Tensor) -> Tensor:
    """The phrases as one tensor [N, T', D]; shorter ones repeat their last vector, as the WebUI does."""
    if not phrases:
        return like.new_zeros(0, CHUNK, like.shape[-1])
    length = max(len(phrase) for phrase in phrases)
    return torch.stack([torch.cat([phrase, phrase[-1:].expand(length - len(phrase), -1)]) for phrase in phrases])
