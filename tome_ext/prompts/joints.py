"""Where brackets and keywords of other extensions divide a prompt, though no comma stands there."""

from __future__ import annotations

import re

from tome_ext.prompts.host_syntax import Mapped
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab

# Composition with AND_PERP and its kind, regions with ADDCOL and its kind.
_KEYWORDS = re.compile(r"\b(?:AND(?:_[A-Z]+)+|ADDCOL|ADDROW|ADDCOMM|ADDBASE)\b")
# "(analog film:1.2) (vhs movie)"
_SIDE_BY_SIDE = re.compile(r"\(([^()\[\]\\]*)\)+([ \t]+)(?=\()")


def divided(text: str, plain: Mapped) -> Mapped:
    """The plain text of ``text`` with line breaks for keywords, and commas between brackets that stand side by side."""
    found = _KEYWORDS.sub(lambda m: "\n" * len(m.group()), plain.text) if "_" in plain.text or "ADD" in plain.text else plain.text
    gaps = {m.start(2) for m in _SIDE_BY_SIDE.finditer(text) if not _one_attribute(m.group(1))}
    if gaps:
        found = "".join("," if at in gaps else char for char, at in zip(found, plain.offsets, strict=True))
    return plain if found == plain.text else Mapped(found, plain.offsets)


def _one_attribute(inside: str) -> bool:
    """ "(red) (car)": brackets around an attribute divide nothing."""
    word = inside.split(":")[0].strip().lower()
    return word in vocab.HARD_ATTRIBUTES or (bool(word) and lexicon.info(word).attribute)
