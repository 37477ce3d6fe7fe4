"""Finding hand-written groups in a prompt, and putting them together with the automatic ones."""

from __future__ import annotations

from tome_ext.prompts.groups import Term
from tome_ext.prompts.manual.characters import character, crowd
from tome_ext.prompts.manual.grammar import ManualGroup, ManualTerm
from tome_ext.prompts.manual.phrases import SMALL, Surroundings
from tome_ext.prompts.parsed import ParsedObject
from tome_ext.prompts.words import Word


class Resolver:
    """Looks for hand-written groups among the words of one prompt."""

    def __init__(self, words: list[Word]) -> None:
        self.words = words
        self.places: dict[str, list[int]] = {}
        for k, word in enumerate(words):
            self.places.setdefault(word.low, []).append(k)
        self.used: set[int] = set()
        self.warnings: list[str] = []
        self.left_alone: set[int] = set()
        self.strengths: dict[int, float] = {}  # by a word of the noun, for what was found

    def resolve(self, groups: list[ManualGroup]) -> list[ParsedObject]:
        """The groups that stand in this prompt; the others are named in ``warnings``."""
        characters = [m for g in groups if self._counted(g) and (m := self._character(g)) is not None]
        nouns = [(g, self._noun(g)) for g in groups if not self._counted(g)]
        objects = [m for g, noun in nouns if noun for m in self._mention(g, noun)]
        around = Surroundings(self.words) if objects else None
        for found in objects:
            assert around is not None
            found.kept = around.article(found.noun)
            self._take_along(found, around)
        return characters + objects

    def _counted(self, group: ManualGroup) -> bool:
        """Whether a group is for one of several ("girl#1" on "2girls") that have no word of their own."""
        if not group.ordinal or group.alone or self._runs(group.words):
            return False
        return group.ordinal <= crowd(self.words, " ".join(group.words))

    def _character(self, group: ManualGroup) -> ParsedObject | None:
        found = character(self.words, group, self.used, lambda owner, term: self._term(group, owner, term))
        if found is None:
            self.warnings.append(
                f"hand-written group '{group.text}#{group.ordinal}': none of its words is in the prompt"
            )
        return found

    def _runs(self, words: tuple[str, ...]) -> list[list[int]]:
        """All places of some words in a row."""
        first = self.places.get(words[0], []) if words else []
        n = len(words)
        return [list(range(k, k + n)) for k in first if tuple(w.low for w in self.words[k : k + n]) == words]

    def _noun(self, group: ManualGroup) -> list[int]:
        runs = self._runs(group.words)
        if group.ordinal:
            runs = runs[group.ordinal - 1 : group.ordinal]
        free = [r for r in runs if not self.used & set(r)]
        if not free:
            which = f"{group.text}#{group.ordinal}" if group.ordinal else group.text
            often = "not in the prompt" if not runs else "already the noun of another group"
            self.warnings.append(f"hand-written group {which!r}: {often}")
            return []
        self.used |= set(free[0])
        return free[0]

    def _mention(self, group: ManualGroup, noun: list[int]) -> list[ParsedObject]:
        if group.alone:
            self.left_alone |= set(noun)
            return []
        if not group.terms:
            self.strengths |= dict.fromkeys(noun, group.strength)
            self.used -= set(noun)
            return []
        found = ParsedObject(noun, strength=group.strength)
        for term in group.terms:
            self._term(group, found, term)
        if not found.related and not found.extra:
            return []
        return [found]

    def _term(self, group: ManualGroup, found: ParsedObject, term: ManualTerm) -> None:
        if term.quoted:
            found.extra.append((Term(term.text, None, term.weight), []))
            return
        runs = [r for r in self._runs(term.words) if not set(r) & set(found.noun)]
        if term.ordinal:
            runs = runs[term.ordinal - 1 : term.ordinal]
        free = [r for r in runs if not self.used & set(r)]
        if not free:
            why = "belongs to another group" if runs else "is not in the prompt (write it in quotes to add it)"
            self.warnings.append(f"hand-written group {group.text!r}: {term.text!r} {why}")
            return
        best = min(free, key=lambda r: abs(r[0] - found.noun[0]))
        if len(free) > 1 and not term.ordinal and term.words[0] not in SMALL:
            self.warnings.append(
                f"hand-written group {group.text!r}: {term.text!r} occurs {len(free)} times, the nearest is taken"
            )
        self.used |= set(best)
        if term.signed:
            found.extra.append((Term(term.text, None, term.weight), best))
        else:
            found.related += best

    def strengthen(self, objects: list[ParsedObject]) -> None:
        """Give the objects that were found the strengths by hand."""
        for found in objects:
            for word in set(found.noun) & set(self.strengths):
                found.strength = self.strengths[word]

    def _take_along(self, found: ParsedObject, around: Surroundings) -> None:
        """Drop what loses its sense when the words of the group go."""
        minus = {i for t, run in found.extra for i in run if t.weight is not None and t.weight <= 0}
        terms = {*found.related, *(i for _, run in found.extra for i in run)}
        for gone in around.taken_along(found.noun, terms):
            away = gone.term in minus
            small = found.removed if away else found.dropped
            small += [i for i in gone.words if i not in self.used]
            found.removed += [i for i in gone.joints if i not in self.used]
            found.kept += [] if away else [i for i in gone.links if i not in self.used]


def combine(
    words: list[Word], manual: list[ParsedObject], automatic: list[ParsedObject], alone: set[int]
) -> list[ParsedObject]:
    """Hand-written groups, and the automatic ones less the words that hand-written ones use."""
    taken = set(alone)
    for found in manual:
        taken |= {*found.words, *found.dropped, *found.removed}
    out = list(manual)
    for found in automatic:
        if taken & set(found.noun):
            continue
        found.shared = [i for i in found.shared if i not in taken]
        if taken & set(found.related):
            found.related = [i for i in found.related if i not in taken]
            if all(words[i].low in SMALL for i in found.related) and not found.shared:
                continue
        out.append(found)
    return sorted(out, key=lambda m: m.noun[0])
