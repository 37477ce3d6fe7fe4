"""The settings of token merging and end token substitution."""

from __future__ import annotations

from dataclasses import dataclass

from tome_ext.settings.declaration import fraction, setting


@dataclass(frozen=True)
class MergingSettings:
    """The settings of token merging and end token substitution, each with its default, range, label and help."""

    noun_weight: float = setting(
        1.0,
        "Noun weight",
        "Weight of the object's own tokens in the composite token. More: the object itself is stronger.",
        "Merging",
        minimum=-4.0,
        maximum=4.0,
        step=0.05,
        advanced=False,
    )
    related_weight: float = setting(
        1.0,
        "Attribute weight",
        "Weight of the attributes' and sub-objects' tokens in the composite token. More: they show more.",
        "Merging",
        minimum=-4.0,
        maximum=4.0,
        step=0.05,
        advanced=False,
    )
    members: str = setting(
        "close",
        "Merged words",
        "What happens to the positions of the merged words: the sequence closes up (paper), or they become "
        "zero vectors that still draw attention (the authors' code).",
        "Merging",
        choices=("close", "zero"),
    )
    ets: bool = setting(
        True,
        "End token substitution",
        "Take the end tokens from the clean prompt, so that attributes do not leak to every object through them.",
        "Merging",
        advanced=False,
    )
    ets_start: float = fraction(
        0.0,
        "End token substitution from",
        "Fraction of the sampling run at which the end tokens are substituted; before it they are the prompt's own.",
        "Merging",
    )
    pooled: str = setting(
        "keep",
        "Pooled vector",
        "SDXL's second conditioning, a summary of the whole prompt: kept, or taken from the clean prompt.",
        "Merging",
        choices=("keep", "clean"),
    )
