"""What is compared on the miniature: end tokens, composites, contrast, noise; made of the product's own functions.

A variant turns a prompt's text into a :class:`~tome_ext.research.miniature.sampling.Plan`. None of them is a setting
of the product before it has been confirmed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tome_ext.research.miniature.prompt_text import PromptText
from tome_ext.research.miniature.sampling import Contrast, Plan
from tome_ext.tokens.vocabulary import CHUNK

Planner = Callable[[PromptText], Plan]


@dataclass(frozen=True)
class Variant:
    """A way to make an image's text; ``candidates``: among how many first noises one is chosen.

    ``unless``: another way, for images whose first maps show every attribute at its own noun.
    """

    name: str
    plan: Planner
    candidates: int = 1
    guidance: float = 1.0  # times the comparison's own
    steps: float = 1.0  # times the comparison's own
    unless: Planner | None = None


def plain(text: PromptText) -> Plan:
    """The prompt as it is."""
    return Plan(text.context, text.pooled, watched=text.nouns, phrases=text.phrase_places)


def merged(*, ets: bool = False, **settings: Any) -> Planner:
    """Merging as the product does it, with its own settings."""

    def plan(text: PromptText) -> Plan:
        context, positions = text.merged(ets=ets, **settings)
        return Plan(context, text.pooled, watched=positions)

    return plan


def ends_only(text: PromptText) -> Plan:
    """The clean prompt's end tokens behind the prompt's own words."""
    return replace(plain(text), context=followed(text.context[: text.end], text.clean[text.clean_end :]))


def eot_only(text: PromptText) -> Plan:
    """Merged, with the clean prompt's EOT and the prompt's own padding."""
    ends = torch.cat([text.clean_ends[:1], text.own_ends[1:]])
    return Plan(followed(text.merged_words, ends), text.pooled)


def padding_only(text: PromptText) -> Plan:
    """Merged, with the prompt's own EOT and the clean prompt's padding."""
    ends = torch.cat([text.own_ends[:1], text.clean_ends[1:]])
    return Plan(followed(text.merged_words, ends), text.pooled)


def alone(*, ets: bool = False) -> Planner:
    """Composites that are sums of the words of phrases encoded each by itself, at the nouns' places."""

    def plan(text: PromptText) -> Plan:
        words = text.merged_words.clone()
        for place, phrase, end in zip(text.merged_nouns, text.phrases, text.phrase_ends, strict=True):
            words[place] = phrase[2:end].sum(0)  # without the start token and the article
        return Plan(followed(words, text.clean_ends if ets else text.own_ends), text.pooled)

    return plan


def phrases(*, ets: bool = False) -> Planner:
    """The words of phrases that were encoded each by itself, at their own places in the prompt, nothing summed."""

    def plan(text: PromptText) -> Plan:
        words = text.context[: text.end].clone()
        for places, phrase, end in zip(text.phrase_places, text.phrases, text.phrase_ends, strict=True):
            words[list(places)] = phrase[end - len(places) : end]
        return Plan(followed(words, text.clean_ends if ets else text.own_ends), text.pooled)

    return plan


def kept(*, weight: float = 1.0, alone: bool = False) -> Planner:
    """The composite at the noun's place while the attribute's tokens stay where they are, so nothing closes up.

    ``weight``: of the attribute in the composite. ``alone``: from the phrase encoded by itself.
    """

    def plan(text: PromptText) -> Plan:
        context = text.context.clone()
        pairs = zip(text.phrase_places, text.phrases, text.phrase_ends, strict=True)
        for places, phrase, end in pairs:
            own = phrase[end - len(places) : end] if alone else text.context[list(places)]
            context[places[-1]] = own[-1] + weight * own[:-1].sum(0)
        return Plan(context, text.pooled)

    return plan


def projected(strength: float, *, ets: bool = False) -> Planner:
    """Composites without what they share: each loses its part along every other one, and keeps its length."""

    def plan(text: PromptText) -> Plan:
        words = text.merged_words.clone()
        places = list(text.merged_nouns)
        words[places] = apart(words[places], strength)
        return Plan(followed(words, text.clean_ends if ets else text.own_ends), text.pooled)

    return plan


def apart(vectors: Tensor, strength: float) -> Tensor:
    """``vectors`` [K, D], each without ``strength`` times its projections on the others, at its old length."""
    made = []
    for number, vector in enumerate(vectors):
        changed = vector.clone()
        for other in (*vectors[:number], *vectors[number + 1 :]):
            changed = changed - strength * (vector @ other) / (other @ other) * other
        made.append(changed * vector.norm() / changed.norm())
    return torch.stack(made)


def contrasted(weight: float, *, merge: bool = False) -> Planner:
    """Embeddings pushed away from those of the misbound prompt: c + weight · (c − c′); words merged afterwards."""

    def plan(text: PromptText) -> Plan:
        context = text.context + weight * (text.context - text.misbound)
        if merge:
            return Plan(text.merged(ets=False, of=context)[0], text.pooled)
        return Plan(context, text.pooled)

    return plan


def against(weight: float, until: float, *, merge: bool = False) -> Planner:
    """Noise pushed away from that of the misbound prompt, in the first part of the run."""

    def plan(text: PromptText) -> Plan:
        base = merged()(text) if merge else plain(text)
        return replace(base, contrast=Contrast(text.misbound, text.misbound_pooled, weight, until))

    return plan


def first_then(first: Planner, share: float, later: Planner) -> Planner:
    """One text until a share of the run, and another from there on."""
    return lambda text: replace(first(text), later=((share, later(text).context),))


def part_alone(which: str) -> Planner:
    """Words, EOT, padding, or the first noun as the whole context, with the prompt's own pooled vector."""

    def plan(text: PromptText) -> Plan:
        parts = {
            "words": text.context[: text.end],
            "eot": text.context[text.end : text.end + 1],
            "padding": text.context[text.end + 1 :],
            "ends": text.context[text.end :],
            "noun": text.context[[text.nouns[0]]],
            "nothing": torch.zeros_like(text.context),
        }
        return Plan(parts[which], text.pooled)

    return plan


def clean_pooled(planner: Planner) -> Planner:
    """The same with the clean prompt's pooled vector."""
    return lambda text: replace(planner(text), pooled=text.clean_pooled)


def followed(words: Tensor, ends: Tensor, length: int = CHUNK) -> Tensor:
    """Words with end tokens behind them, cut or filled up with the last one to ``length`` tokens."""
    made = torch.cat([words, ends])[:length]
    return torch.cat([made, made[-1:].expand(length - len(made), -1)])


PLAIN = Variant("plain", plain)
PARTS: Sequence[Variant] = (
    PLAIN,
    *(Variant(f"{which} alone", part_alone(which)) for which in ("words", "eot", "padding", "ends", "noun")),
    Variant("no text but the pooled vector", part_alone("nothing")),
    Variant("plain, clean pooled vector", clean_pooled(plain)),
)
CONTROLS: Sequence[Variant] = (
    Variant("plain, half the guidance", plain, guidance=0.5),
    Variant("plain, twice the guidance", plain, guidance=2.0),
    Variant("plain, a quarter more steps", plain, steps=1.25),
)
ENDS: Sequence[Variant] = (
    Variant("merging", merged()),
    Variant("merging and ETS", merged(ets=True)),
    Variant("ETS without merging", ends_only),
    Variant("merging, EOT substituted", eot_only),
    Variant("merging, padding substituted", padding_only),
    Variant("merging, ETS from 0.2", first_then(merged(), 0.2, merged(ets=True))),
    Variant("merging, where the first maps confuse", merged(), unless=plain),
    Variant("merging and ETS, where the first maps confuse", merged(ets=True), unless=plain),
)
COMPOSITES: Sequence[Variant] = (
    Variant("merging, members zero", merged(members="zero")),
    Variant("merging, attributes 0.5", merged(related_weight=0.5)),
    Variant("merging, attributes 1.5", merged(related_weight=1.5)),
    Variant("merging, both 0.7", merged(noun_weight=0.7, related_weight=0.7)),
    Variant("merging until 0.3, then plain", first_then(merged(), 0.3, plain)),
    Variant("composites encoded alone", alone()),
    Variant("composites encoded alone, ETS", alone(ets=True)),
    Variant("composites projected 0.5", projected(0.5)),
    Variant("composites projected 1", projected(1.0)),
    Variant("phrases encoded alone, unmerged", phrases()),
    Variant("phrases encoded alone, unmerged, ETS", phrases(ets=True)),
    Variant("composite beside its attribute", kept()),
    Variant("composite beside its attribute, 0.5", kept(weight=0.5)),
    Variant("composite encoded alone beside its attribute", kept(alone=True)),
)
CONTRASTS: Sequence[Variant] = (
    Variant("contrast in embeddings 0.5", contrasted(0.5)),
    Variant("contrast in embeddings 1.5", contrasted(1.5)),
    Variant("contrast in embeddings 4", contrasted(4.0)),
    Variant("contrast in embeddings 1.5, merging", contrasted(1.5, merge=True)),
    Variant("contrast in noise 2.5 until 0.3", against(2.5, 0.3)),
    Variant("contrast in noise 5 until 0.3", against(5.0, 0.3)),
    Variant("contrast in noise 5 until 1", against(5.0, 1.0)),
    Variant("contrast in noise 5 until 0.3, merging", against(5.0, 0.3, merge=True)),
)
NOISE: Sequence[Variant] = (
    Variant("plain, best of 4 noises", plain, candidates=4),
    Variant("merging, best of 4 noises", merged(), candidates=4),
)
EVERY: Sequence[Variant] = (PLAIN, *CONTROLS, *ENDS, *COMPOSITES, *CONTRASTS, *NOISE)
