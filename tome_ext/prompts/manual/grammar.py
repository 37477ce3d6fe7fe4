"""Groups written by hand: ``cat: wearing sunglasses; dog + 1.2*hat - collar; car#2: blue, "shiny"``.

Grammar (a line break counts as ``;``)::

    groups = group { ";" group }
    group  = noun [ "*" strength ] ( ":" list | sums | ":" list sums | ":" "-" | nothing, after a strength )
    noun   = words [ "#" ordinal ]          "@" for "#" where "#" begins a comment, in the WebUI's prompts
    list   = item { [","] item }            words that belong to the noun
    sums   = { ("+" | "-") [number "*"] item }
    item   = word [ "#" ordinal ] | quoted  a quoted word comes from outside the prompt

``noun: -`` leaves an object alone that the automatic reading would bind. ``cat*1.3: hat`` binds the hat more strongly
than the other objects' words, ``cat*1.3`` what was found for the cat; the strength is a number from 0 (as ``cat: -``)
to 2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tome_ext.prompts.words import split_words

_TOKEN = re.compile(
    r"(?P<blank>[ \t\r]+)|(?P<weight>(?:\d+(?:\.\d*)?|\.\d+)[ \t]*\*)|(?P<ordinal>[#@][ \t]*\d*)"
    r"|(?P<times>\*[ \t]*(?:\d+(?:\.\d*)?|\.\d+))"
    r"|(?P<quoted>\"[^\"\n]*\"?|“[^”\n]*”?)"
    r"|(?P<word>[^\W_](?:[^\W_]|[\u0300-\u036f]|[-'’](?=[^\W_]))*)|(?P<mark>[:;,+\n-]|–|−)|(?P<other>.)",
    re.DOTALL,
)
MOST_GROUPS = 1000
MOST_STRENGTH = 2.0


class GroupSyntaxError(ValueError):
    """A mistake in hand-written groups.

    ``position`` is the index of the character in ``source``; the message shows the line, points at the
    character and says what was expected there.
    """

    def __init__(self, problem: str, source: str, position: int) -> None:
        self.problem = problem
        self.source = source
        self.position = position
        before = source[:position]
        line = source[before.rfind("\n") + 1 :].split("\n", 1)[0]
        column = position - (before.rfind("\n") + 1)
        super().__init__(f"groups, character {position + 1}: {problem}\n  {line}\n  {' ' * column}^")


@dataclass(frozen=True)
class ManualTerm:
    """A related word as written; ``words`` are lower-case. ``signed``: it has a sign (and perhaps a weight)."""

    text: str
    words: tuple[str, ...]
    position: int
    ordinal: int = 0
    weight: float | None = None
    signed: bool = False
    quoted: bool = False


@dataclass
class ManualGroup:
    """A group as written; ``alone`` stands for ``noun: -``. Without ``terms``, the strength is for what was found."""

    text: str
    words: tuple[str, ...]
    position: int
    ordinal: int = 0
    terms: list[ManualTerm] = field(default_factory=list)
    alone: bool = False
    strength: float = 1.0


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def parse_groups(source: str) -> list[ManualGroup]:
    """The groups of a hand-written text; :class:`GroupSyntaxError` where it breaks the grammar."""
    return _Parser(source).groups()


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = [
            _Token(m.lastgroup or "other", m.group(), m.start())
            for m in _TOKEN.finditer(source)
            if m.lastgroup != "blank"
        ]
        self.tokens.append(_Token("end", "", len(source)))
        self.at = 0

    @property
    def now(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.now
        self.at += token.kind != "end"
        return token

    def is_mark(self, marks: str) -> bool:
        return self.now.kind == "mark" and self.now.text in marks

    def fail(self, expected: str, token: _Token | None = None) -> GroupSyntaxError:
        token = token or self.now
        found = "the end" if token.kind == "end" else "a line break" if token.text == "\n" else repr(token.text)
        return GroupSyntaxError(f"expected {expected}, found {found}", self.source, token.at)

    def groups(self) -> list[ManualGroup]:
        out: list[ManualGroup] = []
        while True:
            while self.is_mark(";\n"):
                self.take()
            if self.now.kind == "end":
                return out
            if len(out) == MOST_GROUPS:
                raise GroupSyntaxError(f"more than {MOST_GROUPS} groups", self.source, self.now.at)
            out.append(self.group())

    def group(self) -> ManualGroup:
        start = self.now
        if start.kind == "weight":
            raise self.fail("the object's noun without a weight (only the words added to it have weights)")
        if start.kind == "quoted":
            raise self.fail("an object of the prompt (words in quotes come from outside it)")
        words: list[str] = []
        while self.now.kind == "word":
            words.append(self.take().text)
        if not words:
            raise self.fail("an object of the prompt")
        group = ManualGroup(" ".join(words), _low(" ".join(words)), start.at, self.ordinal())
        strengthened = self.strength(group)
        if self.is_mark(":"):
            self.take()
            self.items(group)
        elif not (self.is_mark("+-–−") or (strengthened and (self.now.kind == "end" or self.is_mark(";\n")))):
            raise self.fail(f"':', '+' or '-' after {group.text!r}")
        self.sums(group)
        if self.now.kind != "end" and not self.is_mark(";\n"):
            raise self.fail("',', '+', '-', ';' or the end")
        return group

    def strength(self, group: ManualGroup) -> bool:
        """The number after "*", and whether there is one."""
        if self.now.kind != "times":
            return False
        token = self.take()
        group.strength = float(token.text.lstrip("* \t"))
        if group.strength > MOST_STRENGTH:
            raise GroupSyntaxError(f"expected a strength from 0 to {MOST_STRENGTH:g}", self.source, token.at + 1)
        group.alone = group.strength == 0
        return True

    def items(self, group: ManualGroup) -> None:
        """The words after the colon."""
        if self.is_mark("-–−") and self.tokens[self.at + 1].text in (";", "\n", ""):
            self.take()
            group.alone = True
            return
        if not (self.now.kind in ("word", "quoted") or self.is_mark("+-–−")):
            raise self.fail(f"a word that belongs to {group.text!r}")
        while self.now.kind in ("word", "quoted"):
            group.terms.append(self.item(None, signed=False))
            if self.is_mark(","):
                self.take()
                if self.now.kind not in ("word", "quoted"):
                    raise self.fail("a word after ','")

    def sums(self, group: ManualGroup) -> None:
        """Signed terms: a run of words up to the next sign is one term."""
        while self.is_mark("+-–−"):
            sign = -1.0 if self.take().text != "+" else 1.0
            weight = None if sign > 0 else sign
            if self.now.kind == "weight":
                weight = sign * float(self.take().text.rstrip("* \t"))
            if self.now.kind not in ("word", "quoted"):
                raise self.fail("a word, or a number with '*' and a word")
            group.terms.append(self.item(weight, signed=True))

    def item(self, weight: float | None, *, signed: bool) -> ManualTerm:
        token = self.take()
        if token.kind == "quoted":
            return self.quoted(token, weight, signed)
        words = [token.text]
        while signed and self.now.kind == "word":
            words.append(self.take().text)
        text = " ".join(words)
        return ManualTerm(text, _low(text), token.at, self.ordinal(), weight, signed)

    def quoted(self, token: _Token, weight: float | None, signed: bool) -> ManualTerm:
        if len(token.text) < 2 or token.text[-1] not in '"”':
            raise GroupSyntaxError("expected a closing quote", self.source, len(token.text) + token.at)
        text = token.text[1:-1].strip()
        if not text:
            raise GroupSyntaxError("expected a word between the quotes", self.source, token.at + 1)
        return ManualTerm(text, _low(text), token.at, 0, weight, signed, quoted=True)

    def ordinal(self) -> int:
        """The number after "#" or "@" (1 is the first), 0 where there is none."""
        if self.now.kind != "ordinal":
            return 0
        token = self.take()
        number = token.text[1:].strip()
        if not number or int(number[:9]) == 0:
            raise GroupSyntaxError("expected a number from 1 after '#'", self.source, token.at + 1)
        return int(number[:9])


def _low(text: str) -> tuple[str, ...]:
    return tuple(w.low for w in split_words(text))
