"""The pieces that a prompt is cut into."""

from __future__ import annotations

from dataclasses import dataclass

from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab
from tome_ext.prompts.parsed import ParsedObject


@dataclass
class Item:
    """A piece of a prompt; ``start:end`` are word numbers.

    ``kind``: np, adj, verb, prep, with, hold, dressed, have, rel, cop, and, comma, hard, neg or other.
    ``low``: the noun of an np (its last word, or a fixed name), else the word. ``name``: an np that names somebody.
    ``role`` of an np: "subject" (of its clause, or free), "object" of a verb or of "with", "place" (after another
    preposition), "of" (after "of").
    """

    kind: str
    start: int
    end: int
    low: str = ""
    parsed: ParsedObject | None = None
    name: bool = False
    role: str = "subject"

    @property
    def animate(self) -> bool:
        """Somebody who can wear and hold things: a person, an animal, a name, "the other"."""
        return self.kind == "np" and (self.name or lexicon.animate(self.low))

    @property
    def bare(self) -> bool:
        """A noun phrase without a determiner."""
        return self.parsed is not None and not self.parsed.determined

    @property
    def position(self) -> bool:
        """ "the left", "the background"."""
        return self.kind == "np" and self.low in vocab.POSITIONS
