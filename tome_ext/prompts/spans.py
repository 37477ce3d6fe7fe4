"""From word numbers to the groups, the ignored pieces and the clean prompt of a typed text."""

from __future__ import annotations

from tome_ext.prompts.groups import Group, Ignored, Span, Term
from tome_ext.prompts.host_syntax import Mapped
from tome_ext.prompts.parsed import ParsedObject
from tome_ext.prompts.words import Word


def span_of(text: str, plain: Mapped, start: int, end: int) -> Span:
    """The typed span of a piece of plain text."""
    a, b = plain.typed(start, end)
    return Span(a, b, text[a:b])


def group_of(text: str, plain: Mapped, words: list[Word], found: ParsedObject) -> Group:
    """An object as a group of the typed text."""
    first, last = words[found.noun[0]], words[found.noun[-1]]
    extra = [Term(plain.text[words[i].start : words[i].end], None) for i in found.shared]
    for term, run in found.extra:
        span = span_of(text, plain, words[run[0]].start, words[run[-1]].end) if run else None
        extra.append(Term(term.text, span, term.weight))
    return Group(
        noun=span_of(text, plain, first.start, last.end),
        related=tuple(span_of(text, plain, words[i].start, words[i].end) for i in sorted(found.related)),
        phrase=phrase_of(plain, words, found),
        extra=tuple(extra),
        name=found.name,
    )


def phrase_of(plain: Mapped, words: list[Word], found: ParsedObject) -> str:
    """The plain words of a group, small words included, in the order of the prompt.

    Words of a prompt that are added by hand stand where they stand; words from outside follow after "with".
    Words that are taken away (negative weights) are left out.
    """
    added = [(t, run) for t, run in found.extra if t.weight is None or t.weight > 0]
    inside = {i for _, run in added for i in run}
    order = sorted({*found.noun, *found.related, *found.dropped, *found.kept, *inside})
    if found.shared:
        order = sorted({*found.kept, *found.shared, *found.noun})
    out, before = found.name.split("#")[0], -1
    for i in order:
        word = plain.text[words[i].start : words[i].end]
        touches = word in (",", "'s") or (i == before + 1 and words[i].start == words[before].end)
        apart = ", " if found.name and i != before + 1 else "" if touches or not out else " "
        out += apart + word
        before = i
    outside = [t.text for t, run in added if not run and not (found.name and t is found.extra[0][0])]
    return f"{out} with {' and '.join(outside)}" if outside else out


def disjoint(objects: list[ParsedObject]) -> list[ParsedObject]:
    """The objects that share no word with an earlier one."""
    used: set[int] = set()
    out = []
    for found in objects:
        if found.words & used:
            continue
        used |= found.words
        out.append(found)
    return out


def ignored_of(text: str, plain: Mapped, words: list[Word], objects: list[ParsedObject]) -> list[Ignored]:
    """What was looked at and left alone."""
    out = []
    for found in objects:
        members = sorted(found.words)
        start, end = words[members[0]].start, words[members[-1]].end
        out.append(Ignored(span_of(text, plain, start, end), found.reason))
    return out
