"""Where brackets and keywords of other extensions divide a prompt, though no comma stands there."""

from __future__ import annotations

import re
from bisect import bisect_left

from tome_ext.prompts.host_syntax import Mapped, joined
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab

# Composition with AND_PERP and its kind, regions with ADDCOL and its kind.
_KEYWORDS = re.compile(r"\b(?:AND(?:_[A-Z]+)+|ADDCOL|ADDROW|ADDCOMM|ADDBASE)\b")
# "(analog film:1.2) (vhs movie)", and "a smile (red hair, blue eyes) on": brackets that are tags of their own.
_SIDE_BY_SIDE = re.compile(r"\(([^()\[\]\\]*)\)+([^\S\n]*)(?=\()")
_LISTS = re.compile(r"(?:(?<=\w)([^\S\n]+))?\(([^()\[\]\\,]*),[^()\[\]\\]*\)(?:([^\S\n]+)(?=\w))?")


def divided(text: str, plain: Mapped) -> Mapped:
    """The plain text of ``text`` with line breaks for keywords, and commas where brackets divide it."""
    if "_" in plain.text or "ADD" in plain.text:
        plain = Mapped(_KEYWORDS.sub(lambda m: "\n" * len(m.group()), plain.text), plain.offsets)
    gaps = [(*m.span(2), " " if _one_attribute(m.group(1)) else ",") for m in _SIDE_BY_SIDE.finditer(text)]
    for m in _LISTS.finditer(text):
        if not _one_attribute(m.group(2)):
            gaps += [(*m.span(k), ",") for k in (1, 3) if m.group(k)]
    parts, at = [], 0
    for gap, end, joint in sorted(gaps):
        here = bisect_left(plain.offsets, gap)
        wide = here < len(plain.offsets) and plain.offsets[here] == gap < end
        if here > at and (wide or gap == end):
            parts += [plain[at:here], Mapped(joint, (gap - (not wide),))]
            at = here + wide
    return joined([*parts, plain[at : len(plain.text)]]) if parts else plain


def _one_attribute(inside: str) -> bool:
    """ "(red) (car)": brackets around an attribute divide nothing."""
    word = inside.split(":")[0].strip().lower()
    return word in vocab.HARD_ATTRIBUTES or (bool(word) and lexicon.info(word).attribute)
