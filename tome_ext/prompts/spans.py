"""From word numbers to the groups, the ignored pieces and the clean prompt of a typed text."""

from __future__ import annotations

from tome_ext.prompts.groups import Group, Ignored, Span, Term
from tome_ext.prompts.host_syntax import Mapped
from tome_ext.prompts.parsed import Mention
from tome_ext.prompts.words import Word


def span_of(text: str, plain: Mapped, start: int, end: int) -> Span:
    """The typed span of a piece of plain text."""
    a, b = plain.typed(start, end)
    return Span(a, b, text[a:b])


def group_of(text: str, plain: Mapped, words: list[Word], mention: Mention) -> Group:
    """A mention as a group of the typed text."""
    first, last = words[mention.noun[0]], words[mention.noun[-1]]
    extra = [Term(plain.text[words[i].start : words[i].end], None) for i in mention.shared]
    for term, run in mention.extra:
        span = span_of(text, plain, words[run[0]].start, words[run[-1]].end) if run else None
        extra.append(Term(term.text, span, term.weight))
    return Group(
        noun=span_of(text, plain, first.start, last.end),
        related=tuple(span_of(text, plain, words[i].start, words[i].end) for i in sorted(mention.related)),
        phrase=phrase_of(plain, words, mention),
        extra=tuple(extra),
        strength=mention.strength,
    )


def phrase_of(plain: Mapped, words: list[Word], mention: Mention) -> str:
    """The plain words of a group, small words included, in the order of the prompt.

    Words of a prompt that are added by hand stand where they stand; words from outside follow after "with".
    Words that are taken away (negative weights) are left out.
    """
    added = [(t, run) for t, run in mention.extra if t.weight is None or t.weight > 0]
    inside = {i for _, run in added for i in run}
    order = sorted({*mention.noun, *mention.related, *mention.dropped, *mention.kept, *inside})
    if mention.shared:
        order = [*mention.kept, *sorted(mention.shared), *mention.noun]
    out = ""
    for i in order:
        word = plain.text[words[i].start : words[i].end]
        out += word if not out or word in (",", "'s") else " " + word
    outside = [t.text for t, run in added if not run]
    return f"{out} with {' and '.join(outside)}" if outside else out


def disjoint(mentions: list[Mention]) -> list[Mention]:
    """The mentions that share no word with an earlier one."""
    used: set[int] = set()
    out = []
    for mention in mentions:
        if mention.words & used:
            continue
        used |= mention.words
        out.append(mention)
    return out


def ignored_of(text: str, plain: Mapped, words: list[Word], mentions: list[Mention]) -> list[Ignored]:
    """What was looked at and left alone."""
    out = []
    for mention in mentions:
        members = sorted(mention.words)
        start, end = words[members[0]].start, words[members[-1]].end
        out.append(Ignored(span_of(text, plain, start, end), mention.reason))
    return out
