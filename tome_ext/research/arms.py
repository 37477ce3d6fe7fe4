"""What is compared: plain sampling, and the method with some of its parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from tome_ext.research.world.prompts import Prompt
from tome_ext.settings import Settings, preset

# Makes an image's conditioning [T, D] and pooled vector [P] (None where the model has none) of its own.
Context = Callable[[Any, Prompt], "tuple[Tensor, Tensor | None]"]


@dataclass(frozen=True)
class Arm:
    """One way to make an image: plain (no ``settings``), with the method, or from a ``context`` of its own.

    ``unmerged``: the losses move the nouns' own tokens, and all words stay where they are.
    """

    name: str
    settings: Settings | None = None
    context: Context | None = None
    unmerged: bool = False


_FAST = preset("fast").replace(ets="on", related_weight=1.0)
_BALANCED = preset("balanced")

PLAIN = Arm("plain")
MERGE = Arm("merging alone", _FAST.replace(ets="off"))
FAST = Arm("merging and ETS", _FAST)
BALANCED = Arm("balanced", _BALANCED)
BENCHMARK = (PLAIN, MERGE, FAST, BALANCED, Arm("paper", preset("paper")), Arm("reference", preset("reference")))


def settings_for(arm: Arm, prompt: Prompt) -> Settings:
    """The arm's settings with the prompt's own groups and clean prompt, where it has them.

    ValueError for a prompt without groups and an arm without merging: what is read from a prompt is merged.
    """
    assert arm.settings is not None
    if not prompt.groups:
        if arm.unmerged:
            raise ValueError(f"the arm {arm.name!r} needs prompts whose groups are known, unlike {prompt.text!r}")
        return arm.settings
    groups = prompt.groups
    if arm.unmerged:  # nothing is added to the noun, so nothing leaves its place
        nouns = [group.split(":")[0] for group in groups.split("; ")]
        groups = "; ".join(f'{noun} + 0*"{noun}"' for noun in nouns)
    return arm.settings.replace(groups=groups, clean_prompt=prompt.clean)
