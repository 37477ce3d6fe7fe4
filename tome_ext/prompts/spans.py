"""From word numbers to the groups, the ignored pieces and the clean prompt of a typed text."""

from __future__ import annotations

from tome_ext.prompts.emphasis import joined, typed_phrase, weights
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
        typed_phrase=typed_phrase_of(text, plain, words, mention),
    )


def phrase_of(plain: Mapped, words: list[Word], mention: Mention) -> str:
    """The plain words of a group, small words included, in the order of the prompt.

    Words of a prompt that are added by hand stand where they stand; words from outside follow after "with".
    Words that are taken away (negative weights) are left out.
    """
    return _with_outside(joined([plain.text[words[i].start : words[i].end] for i in _order(mention)]), mention)


def typed_phrase_of(text: str, plain: Mapped, words: list[Word], mention: Mention) -> str:
    """The same in the prompt's own language, with the emphasis of each word; empty where it is no different."""
    if plain.text == text:
        return ""
    by_place = weights(text)
    found = [words[i] for i in _order(mention)]
    typed = typed_phrase([(plain.text[w.start : w.end], by_place.get(plain.offsets[w.start], 1.0)) for w in found])
    phrase = _with_outside(typed, mention)
    return "" if phrase == phrase_of(plain, words, mention) else phrase


def _order(mention: Mention) -> list[int]:
    """The numbers of the words of a group's phrase."""
    if mention.shared:
        return [*mention.kept, *sorted(mention.shared), *mention.noun]
    inside = {i for _, run in _added(mention) for i in run}
    return sorted({*mention.noun, *mention.related, *mention.dropped, *mention.kept, *inside})


def _added(mention: Mention) -> list[tuple[Term, list[int]]]:
    return [(term, run) for term, run in mention.extra if term.weight is None or term.weight > 0]


def _with_outside(phrase: str, mention: Mention) -> str:
    outside = [term.text for term, run in _added(mention) if not run]
    return f"{phrase} with {' and '.join(outside)}" if outside else phrase


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
