"""What a conditioning of *ToMe Text Encode* carries, and whether it is still the one that was made."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tome_ext.hosts.common.text import EncodedPrompt
from tome_ext.method.composition import compose, pooled, substitute_ends
from tome_ext.method.state import Tokens
from tome_ext.method.window import reached
from tome_ext.settings import Settings

KEY = "tome"

# The largest difference from what was encoded, in the length of a token, that moving and casting explain.
_ROUNDING = 2e-2
# So many sampling runs can be gone on with.
_KEPT_RUNS = 4


@dataclass(frozen=True)
class Kept:
    """The tokens at the end of a sampling run that may go on: ``latents`` are what it gave out.

    ``rows``: for each row of this conditioning, in their order, its images' tokens and what was reported of them.
    """

    latents: Tensor
    rows: Sequence[Any]


@dataclass(frozen=True, eq=False)
class Bound:
    """One conditioning: its prompt, its settings, the host's own tokens ``plain`` and the ``merged`` ones, [T, D].

    Nodes that copy or change a conditioning keep what they do not know; so this never counts without
    :meth:`is_in`.
    """

    prompt: EncodedPrompt
    settings: Settings
    plain: Tensor
    merged: Tensor
    kept: deque[Kept] = field(default_factory=lambda: deque(maxlen=_KEPT_RUNS))

    def __deepcopy__(self, memo: Any) -> Bound:
        """Itself: copies of a conditioning are of the same prompt."""
        return self

    def is_in(self, given: Tensor) -> bool:
        """Whether ``given`` [B, T', D] begins with the merged tokens: anything may stand behind them (Concat)."""
        length, width = self.merged.shape
        if given.ndim != 3 or given.shape[1] < length or given.shape[2] != width:
            return False
        expected = self.merged.to(given.device).float()
        difference = (given[:, :length].float() - expected).norm(dim=-1)
        return bool((difference <= _ROUNDING * expected.norm(dim=-1).clamp(min=1e-6)).all())

    def tokens(self, like: Tensor) -> Tokens:
        """The tokens that sampling begins with, before end token substitution, as ordinary tensors."""
        return compose([self.prompt.encoded(self.plain.to(like).clone())], self.settings)

    def substituted(self, tokens: Tokens, like: Tensor) -> Tokens:
        """The tokens with the clean prompt's end tokens."""
        return substitute_ends(tokens, [self.prompt.encoded(self.plain.to(like).clone())], self.settings)


def bind(entry: Sequence[Any], prompt: EncodedPrompt, settings: Settings) -> list[Any]:
    """A conditioning of ComfyUI, ``[tokens, more]``, with its composite tokens."""
    given, more = entry
    encoded = prompt.encoded(given[0])
    tokens = compose([encoded], settings)
    if settings.ets != "off" and reached(0.0, settings.ets_start):
        tokens = substitute_ends(tokens, [encoded], settings)
    merged = tokens.context.to(given)
    bound = Bound(prompt, settings, given[0], merged[0])
    return [merged, {**more, **_pooled(more, prompt, settings), KEY: bound}]


def _pooled(more: Mapping[str, Any], prompt: EncodedPrompt, settings: Settings) -> dict[str, Tensor]:
    own = more.get("pooled_output")
    if own is None or prompt.vector is None:
        return {}
    return {"pooled_output": pooled(own, prompt.vector[None], settings)}


def given_tokens(cond: Mapping[str, Any]) -> Tensor | None:
    """The text conditioning [B, T, D] of one of the sampler's conditionings; None where it has none."""
    made = cond.get("model_conds", {}).get("c_crossattn")
    value = getattr(made, "cond", None)
    return value if isinstance(value, torch.Tensor) else None
