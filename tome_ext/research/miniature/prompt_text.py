"""All encodings that the variants are made of, for one prompt, by the product's own functions."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tome_ext.hosts.diffusers.encoding import encode, encode_with, token_ids
from tome_ext.method.composition import Encoded, compose, substitute_ends
from tome_ext.research.miniature.world.captions import article
from tome_ext.research.miniature.world.prompts import exchanged
from tome_ext.research.world.prompts import Prompt
from tome_ext.settings import Settings, preset


class PromptText:
    """One prompt's encodings: its own, the clean prompt's, its phrases', the misbound prompt's.

    ``nouns``: the nouns' last tokens in the prompt; ``phrase_places``: all tokens of each attribute and noun, the
    noun's last. ``end``, ``clean_end`` and ``phrase_ends`` are the EOTs' positions. ValueError for a prompt whose
    groups the product does not find.
    """

    def __init__(self, pipe: Any, prompt: Prompt) -> None:
        self.prompt = prompt
        phrases = [f"{article(thing.colour)} {thing.colour} {thing.shape}" for thing in prompt.things]
        misbound = exchanged(prompt).text
        contexts, pooled = encode(pipe, [prompt.text, prompt.clean, misbound, *phrases])
        assert pooled is not None
        self.context: Tensor = contexts[0]
        self.clean: Tensor = contexts[1]
        self.misbound: Tensor = contexts[2]
        self.phrases: list[Tensor] = [*contexts[3:]]
        self.pooled, self.clean_pooled, self.misbound_pooled = pooled[0], pooled[1], pooled[2]
        self.end, self.clean_end, *self.phrase_ends = (
            _end(pipe, text) for text in (prompt.text, prompt.clean, *phrases)
        )
        self._settings = preset("fast").replace(
            ets="on", related_weight=1.0, groups=prompt.groups, clean_prompt=prompt.clean
        )
        self._encoded = encode_with(pipe, prompt.text, self._settings)
        located = self._encoded.located
        if len(located.groups) != len(prompt.things):
            raise ValueError(f"{len(located.groups)} groups in {prompt.text!r}")
        self.nouns = tuple(group.noun[-1][1] for group in located.groups)
        self.phrase_places = tuple(
            (*(place[1] for places in group.related for place in places), *(place[1] for place in group.noun))
            for group in located.groups
        )
        merged, self.merged_nouns = self.merged(ets=False)
        removed = sum(len(places) - 1 for places in self.phrase_places)
        self.merged_words = merged[: self.end - removed]

    @property
    def own_ends(self) -> Tensor:
        """The prompt's EOT and padding."""
        return self.context[self.end :]

    @property
    def clean_ends(self) -> Tensor:
        """The clean prompt's EOT and padding."""
        return self.clean[self.clean_end :]

    def merged(self, *, ets: bool, of: Tensor | None = None, **settings: object) -> tuple[Tensor, tuple[int, ...]]:
        """The product's merged conditioning [T, D] and its composites' places; ``of``: another conditioning."""
        chosen: Settings = self._settings.replace(ets="on" if ets else "off", **settings)
        context = self.context if of is None else of
        own = self._encoded
        images = [Encoded(context, own.located, (), own.clean, own.clean_ends)]
        tokens = compose(images, chosen)
        if ets:
            tokens = substitute_ends(tokens, images, chosen)
        return tokens.context[0], tuple(tokens.position)


def _end(pipe: Any, text: str) -> int:
    tokenizer = pipe.tokenizer
    return token_ids(tokenizer, text).index(tokenizer.eos_token_id)
