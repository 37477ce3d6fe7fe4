"""Where brackets and keywords of other extensions divide a prompt, though no comma stands there."""

from __future__ import annotations

import re
from bisect import bisect_left

from tome_ext.prompts.host_syntax import Mapped, joined
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab

# Composition with AND_PERP and its kind, regions with ADDCOL and its kind.
_KEYWORDS = re.compile(r"\b(?:AND(?:_[A-Z]+)+|ADDCOL|ADDROW|ADDCOMM|ADDBASE)\b")
# "(analog film:1.2) (vhs movie)"
_SIDE_BY_SIDE = re.compile(r"\(([^()\[\]\\]*)\)+([ \t]*)(?=\()")


def divided(text: str, plain: Mapped) -> Mapped:
    """The plain text of ``text`` with line breaks for keywords, and commas between brackets that stand side by side."""
    if "_" in plain.text or "ADD" in plain.text:
        plain = Mapped(_KEYWORDS.sub(lambda m: "\n" * len(m.group()), plain.text), plain.offsets)
    parts, at = [], 0
    for m in _SIDE_BY_SIDE.finditer(text):
        gap, joint = m.start(2), " " if _one_attribute(m.group(1)) else ","
        here = bisect_left(plain.offsets, gap)
        wide = here < len(plain.offsets) and plain.offsets[here] == gap < m.end(2)
        if here > at and (wide or not m.group(2)):
            parts += [plain[at:here], Mapped(joint, (gap - (not wide),))]
            at = here + wide
    return joined([*parts, plain[at : len(plain.text)]]) if parts else plain


def _one_attribute(inside: str) -> bool:
    """ "(red) (car)": brackets around an attribute divide nothing."""
    word = inside.split(":")[0].strip().lower()
    return word in vocab.HARD_ATTRIBUTES or (bool(word) and lexicon.info(word).attribute)
