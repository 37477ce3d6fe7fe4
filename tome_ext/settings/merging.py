"""The settings of token merging and end token substitution."""

from __future__ import annotations

from dataclasses import dataclass

from tome_ext.settings.declaration import fraction, setting


@dataclass(frozen=True)
class MergingSettings:
    """The settings of token merging and end token substitution, each with its default, range, label and help."""

    min_objects: int = setting(
        2,
        "Least number of objects",
        "Does nothing where fewer objects are found: a single object has nothing to be confused with. Groups by hand "
        "always count.",
        "Merging",
        minimum=1,
        maximum=10,
        step=1,
    )
    noun_weight: float = setting(
        1.0,
        "Noun weight",
        "Weight of the object's own word in the merged token. Higher values emphasise the object.",
        "Merging",
        minimum=-4.0,
        maximum=4.0,
        step=0.05,
    )
    related_weight: float = setting(
        0.5,
        "Attribute weight",
        "Weight of the attributes and sub-objects in the merged token. Higher values emphasise them.",
        "Merging",
        minimum=-4.0,
        maximum=4.0,
        step=0.05,
    )
    members: str = setting(
        "close",
        "Places of the merged words",
        "What happens to the places of the words that were merged. close: they are removed and the sequence closes up "
        "(paper). zero: they become zero vectors, which still draw attention (the authors' code).",
        "Merging",
        choices=("close", "zero"),
    )
    ets: str = setting(
        "auto",
        "End token substitution",
        "Takes the end tokens from the clean prompt, so that what belongs to one object does not leak to others "
        "through them. auto: where an object has sub-objects ('wearing a hat'), not where all have only attributes.",
        "Merging",
        choices=("auto", "on", "off"),
    )
    ets_start: float = fraction(
        0.0,
        "Substitute end tokens from",
        "Fraction of the sampling run at which the end tokens are substituted. Until then they are the prompt's own.",
        "Merging",
    )
    pooled: str = setting(
        "keep",
        "Pooled vector",
        "SDXL's second conditioning, a summary of the whole prompt. keep: the prompt's own. clean: that of the clean "
        "prompt.",
        "Merging",
        choices=("keep", "clean"),
    )
