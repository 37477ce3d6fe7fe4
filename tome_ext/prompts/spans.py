"""From word numbers to the groups, the ignored pieces and the clean prompt of a typed text."""

from __future__ import annotations

from tome_ext.prompts.emphasis import typed_phrase, weights
from tome_ext.prompts.groups import Group, Ignored, Span, Term
from tome_ext.prompts.host_syntax import Mapped, comfy
from tome_ext.prompts.lexicon.ownership import thing
from tome_ext.prompts.parsed import ParsedObject
from tome_ext.prompts.words import Word


def span_of(text: str, plain: Mapped, start: int, end: int) -> Span:
    """The typed span of a piece of plain text."""
    a, b = plain.typed(start, end)
    return Span(a, b, text[a:b])


def group_of(text: str, plain: Mapped, words: list[Word], found: ParsedObject, syntax: str = "a1111") -> Group:
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
        typed_phrase=typed_phrase_of(text, plain, words, found, syntax),
        name=found.name,
        strength=found.strength,
        has_sub_object=_has_sub_object(words, found),
    )


def _has_sub_object(words: list[Word], found: ParsedObject) -> bool:
    """Whether another thing belongs to the object ("wearing a hat"), and not attributes alone ("red")."""
    after = [words[i].low for i in found.related if i > found.noun[-1]]
    added = [term.text.lower().split()[-1] for term, _ in found.extra if term.weight is None or term.weight > 0]
    return bool(found.name) or any(thing(low) for low in (*after, *added))


def phrase_of(plain: Mapped, words: list[Word], found: ParsedObject) -> str:
    """The plain words of a group, small words included, in the order of the prompt.

    Words of a prompt that are added by hand stand where they stand; words from outside follow after "with".
    Words that are taken away (negative weights) are left out.
    """
    out, before = found.name.split("#")[0], -1
    for i in _order(found):
        word = plain.text[words[i].start : words[i].end]
        touches = word in (",", "'s") or (i == before + 1 and words[i].start == words[before].end)
        apart = ", " if found.name and i != before + 1 else "" if touches or not out else " "
        out += apart + word
        before = i
    outside = _outside(found)
    return f"{out} with {outside}" if outside else out


def typed_phrase_of(text: str, plain: Mapped, words: list[Word], found: ParsedObject, syntax: str = "a1111") -> str:
    """The same in the prompt's own language, with the emphasis of each word; empty where it is no different."""
    if plain.text == text or found.name:
        return ""
    by_place = weights(text, syntax)
    order = [words[i] for i in _order(found)]
    said = [(_said(text, plain, word), by_place.get(plain.offsets[word.start], 1.0)) for word in order]
    typed = typed_phrase(said, syntax)
    outside = _outside(found)
    phrase = f"{typed} with {outside}" if outside else typed
    return "" if phrase == phrase_of(plain, words, found) else phrase


def _said(text: str, plain: Mapped, word: Word) -> str:
    """A word of a phrase as it is typed there: an embedding with its prefix."""
    start, end = plain.typed(word.start, word.end)
    return text[start:end] if text.startswith(comfy.PREFIX, start) else plain.text[word.start : word.end]


def _added(found: ParsedObject) -> list[tuple[Term, list[int]]]:
    return [(term, run) for term, run in found.extra if term.weight is None or term.weight > 0]


def _order(found: ParsedObject) -> list[int]:
    """The numbers of the words of a group's phrase."""
    if found.shared:
        return sorted({*found.kept, *found.shared, *found.noun})
    inside = {i for _, run in _added(found) for i in run}
    return sorted({*found.noun, *found.related, *found.dropped, *found.kept, *inside})


def _outside(found: ParsedObject) -> str:
    """The added words that come from outside the prompt."""
    added = _added(found)
    return " and ".join(t.text for t, run in added if not run and not (found.name and t is found.extra[0][0]))


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
