"""Characters without a word of their own: "girl#1: blonde hair, red dress" on a prompt that holds "2girls".

Nothing in "2girls, blonde hair, red dress, black hair, blue dress" says who has what. A hand-written group does. Its
owner has no token, so the group stands at the noun of its first tag ("hair"): there the words of all its tags and
"girl", encoded on its own, make one composite token. The clean prompt keeps "2girls" and does without the tags.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tome_ext.prompts.groups import Term
from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.manual.grammar import ManualGroup, ManualTerm
from tome_ext.prompts.parsed import ParsedObject
from tome_ext.prompts.words import Word

_NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_MANY = frozenset(("multiple", "several", "many", "both", "few", "couple"))
_COUNTED = re.compile(r"(\d+)\+?([a-z]+)")


def crowd(words: list[Word], name: str) -> int:
    """How many of these the prompt speaks of ("2girls", "two girls"; 99 for "multiple girls"), 0 for none."""
    for at, word in enumerate(words):
        counted = _COUNTED.fullmatch(word.low)
        if counted and counted.group(2) in (name, name + "s") and int(counted.group(1)[:3]) > 1:
            return int(counted.group(1)[:3])
        if word.low == name + "s" and at:
            before = words[at - 1].low
            number = int(before[:3]) if before.isdigit() else 99 if before in _MANY else _NUMBERS.get(before, 0)
            if number > 1:
                return number
    return 0


def character(
    words: list[Word], group: ManualGroup, used: set[int], other_term: Callable[[ParsedObject, ManualTerm], None]
) -> ParsedObject | None:
    """A group of tags for an owner that the prompt only counts; None where it names none of the prompt's words.

    ``other_term`` takes in weighted words, words from outside, and words that the prompt does not hold.
    """
    plain = [term for term in group.terms if not (term.signed or term.quoted)]
    runs, missing = _tags(words, plain, used)
    if not runs:
        return None
    noun = [runs[0][-1]]
    found = ParsedObject(
        noun,
        [i for run in runs for i in run if i not in noun],
        strength=group.strength,
        name=f"{group.text}#{group.ordinal}",
    )
    found.removed = list(noun)
    found.extra.append((Term(group.text, None), []))
    used |= {i for run in runs for i in run}
    for term in [*missing, *(term for term in group.terms if term.signed or term.quoted)]:
        other_term(found, term)
    return found


def _tags(words: list[Word], terms: list[ManualTerm], used: set[int]) -> tuple[list[list[int]], list[ManualTerm]]:
    """The places of the terms, as runs of neighbours as long as possible, and the terms that stand nowhere."""
    places: dict[str, list[int]] = {}
    for at, word in enumerate(words):
        places.setdefault(word.low, []).append(at)
    taken, runs, missing, at = set(used), [], [], 0
    while at < len(terms):
        best: list[int] = []
        starts = [p for p in places.get(terms[at].words[0] if terms[at].words else "", []) if p not in taken]
        if terms[at].ordinal:
            starts = places.get(terms[at].words[0], [])[terms[at].ordinal - 1 : terms[at].ordinal]
        for start in starts:
            length = 0
            while (
                at + length < len(terms)
                and start + length < len(words)
                and start + length not in taken
                and terms[at + length].words == (words[start + length].low,)
            ):
                length += 1
            if length > len(best):
                best = list(range(start, start + length))
        if best:
            runs.append(best)
            taken |= set(best)
        else:
            missing.append(terms[at])
        at += max(len(best), 1)
    return runs, missing


def hints(words: list[Word], found: list[ParsedObject]) -> tuple[str, ...]:
    """What groups by hand can say where tags name several characters and what somebody of them wears."""
    counted = [m for w in words if (m := _COUNTED.fullmatch(w.low)) and int(m.group(1)[:3]) > 1]
    people = [m for m in counted if lexicon.animate(m.group(2)) or lexicon.animate(m.group(2).rstrip("s"))]
    if not people:
        return ()
    own = [" ".join(words[i].low for i in sorted((*m.related, *m.noun))) for m in found if _of_somebody(words, m)]
    if len(own) < 2:
        return ()
    name, tag = people[0].group(2).removesuffix("s"), people[0].group(0)
    half = (len(own) + 1) // 2
    first, second = ", ".join(own[:half][:3]), ", ".join(own[half:][:3])
    return (
        f"{tag!r}: nothing says which of them has what, so nothing is given to one of them. "
        f"Groups by hand can, for example: {name}#1: {first}; {name}#2: {second}",
    )


def _of_somebody(words: list[Word], found: ParsedObject) -> bool:
    low = words[found.noun[-1]].low
    return not found.determined and (lexicon.wearable(low) or lexicon.body_part(low))
