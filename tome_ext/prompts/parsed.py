"""An object as both parsers report it, in word numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from tome_ext.prompts.groups import Term


@dataclass
class ParsedObject:
    """An object: its noun, the words that belong to it, and the small words in between.

    ``dropped`` are function words that go when the related words go ("that is"); ``kept`` stand before the
    noun and stay (articles, numbers), or after it (the series of a name). ``shared`` are words of another object
    that describe this noun, too ("a red car and truck"). ``extra`` holds hand-written terms with their words in the
    prompt (none: from outside); ``removed`` are the small words around terms that are taken away. ``name`` is that
    of an owner without a word of its own ("girl#1" on "2girls"); then ``noun`` is the noun of its first tag.
    ``strength``: of this object, by hand.
    """

    noun: list[int]
    related: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    shared: list[int] = field(default_factory=list)
    extra: list[tuple[Term, list[int]]] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    reason: str = ""
    name: str = ""
    strength: float = 1.0

    @property
    def words(self) -> set[int]:
        """All words that no other object may use."""
        return {*self.noun, *self.related, *(i for _, run in self.extra for i in run)}

    @property
    def determined(self) -> bool:
        """Whether an article, a number or the like stands before the noun."""
        return any(i < self.noun[0] for i in self.kept) if self.noun else bool(self.kept)

    def absorb(self, other: ParsedObject) -> None:
        """Take another object in as a sub-object."""
        self.related += other.related + other.noun
        self.dropped += other.dropped + other.kept
