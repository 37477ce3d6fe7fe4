"""What a parser reports of one object, in word numbers; both parsers speak this language."""

from __future__ import annotations

from dataclasses import dataclass, field

from tome_ext.prompts.groups import Term


@dataclass
class Mention:
    """An object: its noun, the words that belong to it, and the small words in between.

    ``dropped`` are function words that go when the related words go ("that is"); ``kept`` stand before the
    noun and stay (articles, numbers). ``shared`` are words of another mention that describe this noun, too
    ("a red car and truck"). ``extra`` holds hand-written terms with their words in the prompt (none: from outside);
    ``removed`` are the small words around terms that are taken away. ``strength``: of this object, by hand.
    """

    noun: list[int]
    related: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    shared: list[int] = field(default_factory=list)
    extra: list[tuple[Term, list[int]]] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    reason: str = ""
    strength: float = 1.0

    @property
    def words(self) -> set[int]:
        """All words that no other mention may use."""
        return {*self.noun, *self.related, *(i for _, run in self.extra for i in run)}

    def absorb(self, other: Mention) -> None:
        """Take another mention in as a sub-object."""
        self.related += other.related + other.noun
        self.dropped += other.dropped + other.kept
