"""Conditionings that no prompt gives: single tokens, end tokens alone, sums of words, one encoder alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tome_ext.hosts.diffusers.encoding import encode, encode_with, token_ids
from tome_ext.method.composition import Encoded, compose, substitute_ends, word_embedding
from tome_ext.research.world.prompts import Prompt
from tome_ext.settings import Settings

Conditioning = tuple[Tensor, "Tensor | None"]


def phrase(pipe: Any, prompt: Prompt) -> Conditioning:
    """The prompt as it is."""
    return _encoded(pipe, prompt.text)


def noun_alone(pipe: Any, prompt: Prompt) -> Conditioning:
    """The first thing's noun token as the whole context, with the clean prompt's pooled vector."""
    context, _ = _encoded(pipe, prompt.text)
    position = _first_noun(pipe, prompt)
    return context[position : position + 1], _pooled(pipe, prompt)


def ends_alone(pipe: Any, prompt: Prompt) -> Conditioning:
    """EOT and padding alone, with the clean prompt's pooled vector."""
    context, _ = _encoded(pipe, prompt.text)
    return context[_end(pipe, prompt.text) :], _pooled(pipe, prompt)


def clean_ends_alone(pipe: Any, prompt: Prompt) -> Conditioning:
    """The clean prompt's EOT and padding alone, which are what ETS puts in."""
    context, pooled = _encoded(pipe, prompt.clean)
    return context[_end(pipe, prompt.clean) :], pooled


def substituted(pipe: Any, prompt: Prompt) -> Conditioning:
    """All words and their pooled vector, with the clean prompt's end tokens: ETS without merging."""
    words, pooled = _encoded(pipe, prompt.text)
    clean, _ = _encoded(pipe, prompt.clean)
    ends = clean[_end(pipe, prompt.clean) :]
    context = torch.cat([words[: _end(pipe, prompt.text)], ends])
    missing = max(0, len(words) - len(context))
    return torch.cat([context, context[-1:].expand(missing, -1)])[: len(words)], pooled


def composite_alone(pipe: Any, prompt: Prompt, settings: Settings | None = None) -> Conditioning:
    """The first thing's composite token as the whole context, with the clean prompt's pooled vector."""
    tokens = _composed(pipe, prompt, settings or Settings(iterations=0, related_weight=1.0))
    return tokens.composites[:1], _pooled(pipe, prompt)


def word_sum(pipe: Any, prompt: Prompt) -> Conditioning:
    """The clean prompt, its noun's token plus each other word of the thing, encoded alone (paper, figure 3)."""
    context, pooled = _encoded(pipe, prompt.clean)
    thing = prompt.things[0]
    words = [word for word in (thing.colour, thing.texture, thing.worn) if word not in ("plain", "")]
    position = _end(pipe, prompt.clean) - 1  # "a circle": the noun stands last
    summed = context.clone()
    for word in words:
        summed[position] += word_embedding(_encoded(pipe, word)[0], _end(pipe, word))
    return summed, pooled


def clean(pipe: Any, prompt: Prompt) -> Conditioning:
    """The clean prompt: what the thing looks like when nothing is said of it."""
    return _encoded(pipe, prompt.clean)


def one_encoder(number: int, settings: Settings | None) -> Any:
    """A context with the channels of one of SDXL's two encoders alone, the others zero; merged with ``settings``.

    The pooled vector is the second encoder's; without it, that of the clean prompt.
    """

    def of_encoder(pipe: Any, prompt: Prompt) -> Conditioning:
        context, pooled = _encoded(pipe, prompt.text)
        if settings is not None:
            context = _composed(pipe, prompt, settings).context[0]
        first = pipe.text_encoder.config.hidden_size
        masked = torch.zeros_like(context)
        part = slice(0, first) if number == 1 else slice(first, None)
        masked[:, part] = context[:, part]
        return masked, pooled if number == 2 else _pooled(pipe, prompt)

    return of_encoder


def _composed(pipe: Any, prompt: Prompt, settings: Settings) -> Any:
    chosen = settings.replace(groups=prompt.groups, clean_prompt=prompt.clean)
    encoded_prompt = encode_with(pipe, prompt.text, chosen)
    if not encoded_prompt.located.groups:
        raise ValueError(f"no groups in {prompt.text!r}")
    context, _ = _encoded(pipe, prompt.text)
    encoded = [Encoded(context, encoded_prompt.located, (), encoded_prompt.clean, encoded_prompt.clean_ends)]
    tokens = compose(encoded, chosen)
    return substitute_ends(tokens, encoded, chosen) if chosen.ets != "off" else tokens


def _first_noun(pipe: Any, prompt: Prompt) -> int:
    located = encode_with(pipe, prompt.text, Settings(groups=prompt.groups, iterations=0)).located
    return located.groups[0].noun[-1][1]


def _encoded(pipe: Any, text: str) -> Conditioning:
    vectors, pooled = encode(pipe, [text])
    return vectors[0], None if pooled is None else pooled[0]


def _pooled(pipe: Any, prompt: Prompt) -> Tensor | None:
    return _encoded(pipe, prompt.clean)[1]


def _end(pipe: Any, text: str) -> int:
    tokenizer = pipe.tokenizer or pipe.tokenizer_2
    return token_ids(tokenizer, text).index(tokenizer.eos_token_id)
