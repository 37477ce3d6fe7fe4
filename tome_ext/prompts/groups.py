"""The result of reading a prompt: binding groups, the clean prompt, and what was left out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Span:
    """A piece of the prompt as typed: ``text == prompt[start:end]``."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Term:
    """One summand of a composite token.

    ``weight`` is None where the setting's default (noun or related weight) applies; a number, with
    its sign, where the user wrote one. ``span`` is None for a word from outside the prompt; then
    ``text`` is encoded on its own.
    """

    text: str
    span: Span | None
    weight: float | None = None


@dataclass(frozen=True)
class Group:
    """A noun with the words that belong to it (docs/METHOD.md, "The problem").

    ``noun`` may hold several words ("cell phone"). ``related`` are the attributes or the words of the
    sub-object phrase, in the order of the prompt. ``phrase`` is the plain text (no host syntax) whose
    encoding is the target of the semantic binding loss, for example "a cat wearing sunglasses".
    ``extra`` holds further terms: signed or weighted ones from hand-written groups, words from outside the
    prompt, and modifiers shared with another noun ("a red car and truck": "red" stands in the car's ``related``
    and, without a span, in the truck's ``extra``). A related word with a weight or a sign of its own stands in
    ``extra``, not in ``related``. ``strength`` multiplies the setting of that name for this object.
    ``has_sub_object``: another thing belongs to it, and not attributes alone.
    ``typed_phrase``: the phrase in the prompt's own language, with the emphasis of its words; empty where it has
    none and the plain words say the same.
    """

    noun: Span
    related: tuple[Span, ...]
    phrase: str
    extra: tuple[Term, ...] = ()
    typed_phrase: str = ""
    name: str = ""
    """What a hand-written group is called whose owner has no word of its own in the prompt: "girl#1" on "2girls"."""
    strength: float = 1.0
    has_sub_object: bool = False

    @property
    def encoded_phrase(self) -> str:
        """The phrase as a host is to encode it."""
        return self.typed_phrase or self.phrase


@dataclass(frozen=True)
class Ignored:
    """A piece of the prompt that was looked at and left alone, and why."""

    span: Span
    reason: str


@dataclass(frozen=True)
class Reading:
    """What was understood of one prompt (one scheduled variant, one AND part).

    ``clean_problem`` says what is wrong with a clean prompt that must not be used; empty when it can be.
    ``hints`` say what groups by hand could tell that the prompt does not.
    """

    text: str
    parser: str
    groups: tuple[Group, ...]
    clean: str
    warnings: tuple[str, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    clean_problem: str = ""
    hints: tuple[str, ...] = ()
