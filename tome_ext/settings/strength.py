"""The one setting that scales all the others."""

from __future__ import annotations

from dataclasses import dataclass

from tome_ext.settings.declaration import setting


@dataclass(frozen=True)
class StrengthSettings:
    """How much of everything: merging, end token substitution and refinement together."""

    strength: float = setting(
        1.0,
        "Strength",
        "How strongly the method acts: 0 is off, 1 is the preset, 2 the most. Below 1 the merged tokens and the end "
        "tokens lie between the prompt's own and the preset's; above 1 the attributes count more. The step of the "
        "refinement is multiplied by it.",
        "Strength",
        minimum=0.0,
        maximum=2.0,
        step=0.05,
        advanced=False,
    )
