"""Finding hand-written groups in a prompt, and putting them together with the automatic ones."""

from __future__ import annotations

from tome_ext.words import vocabulary as vocab
from tome_ext.words.groups import Term
from tome_ext.words.manual import ManualGroup, ManualTerm
from tome_ext.words.mention import Mention
from tome_ext.words.tokens import Word

_SMALL = (
    vocab.DETERMINERS
    | vocab.CONJUNCTIONS
    | vocab.COPULAS
    | vocab.RELATIVES
    | vocab.WITH
    | vocab.HAVE
    | vocab.HOLDING
    | frozenset(("in", "of", "on", "to"))
)


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

    def resolve(self, groups: list[ManualGroup]) -> list[Mention]:
        """The groups that stand in this prompt; the others are named in ``warnings``."""
        nouns = [(g, self._noun(g)) for g in groups]
        return [m for g, noun in nouns if noun for m in self._mention(g, noun)]

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

    def _mention(self, group: ManualGroup, noun: list[int]) -> list[Mention]:
        if group.alone:
            self.left_alone |= set(noun)
            return []
        mention = Mention(noun)
        for term in group.terms:
            self._term(group, mention, term)
        mention.kept = self._articles(noun[0])
        self._between(mention)
        if not mention.related and not mention.extra:
            return []
        return [mention]

    def _term(self, group: ManualGroup, mention: Mention, term: ManualTerm) -> None:
        if term.quoted:
            mention.extra.append((Term(term.text, None, term.weight), []))
            return
        runs = [r for r in self._runs(term.words) if not set(r) & set(mention.noun)]
        if term.ordinal:
            runs = runs[term.ordinal - 1 : term.ordinal]
        free = [r for r in runs if not self.used & set(r)]
        if not free:
            why = "belongs to another group" if runs else "is not in the prompt (write it in quotes to add it)"
            self.warnings.append(f"hand-written group {group.text!r}: {term.text!r} {why}")
            return
        best = min(free, key=lambda r: abs(r[0] - mention.noun[0]))
        if len(free) > 1 and not term.ordinal and term.words[0] not in _SMALL:
            self.warnings.append(
                f"hand-written group {group.text!r}: {term.text!r} occurs {len(free)} times, the nearest is taken"
            )
        self.used |= set(best)
        if term.signed:
            mention.extra.append((Term(term.text, None, term.weight), best))
        else:
            mention.related += best

    def _articles(self, at: int) -> list[int]:
        """The determiner before a word."""
        return [at - 1] if at and self.words[at - 1].low in vocab.DETERMINERS else []

    def _opening(self, at: int, after: int) -> list[int]:
        """ "wearing a" before a word that goes, unless the phrase goes on with "and"."""
        out = self._articles(at)
        link = (out[0] if out else at) - 1
        second = self.words[at + 2].low if at + 2 < len(self.words) else ""
        goes_on = (
            at + 1 < len(self.words) and self.words[at + 1].low in vocab.CONJUNCTIONS and second not in vocab.ARTICLES
        )
        if link > after and not goes_on and self.words[link].low in vocab.HOLDING | vocab.WITH:
            out = [link, *out]
        return [i for i in out if i > after]

    def _between(self, mention: Mention) -> None:
        """Drop the small words that lose their sense when the related words go."""
        minus = {i for t, run in mention.extra for i in run if t.weight is not None and t.weight <= 0}
        members = sorted({*mention.noun, *mention.related, *(i for _, run in mention.extra for i in run)})
        for a, b in zip([-1, *members], members, strict=False):
            if b in mention.noun:
                continue
            gap = list(range(a + 1, b))
            if a < 0 or len(gap) > 4 or any(self.words[i].low not in _SMALL for i in gap):
                gap = self._opening(b, a)
                if b < mention.noun[0] and not any(self.words[i].low in vocab.HOLDING | vocab.WITH for i in gap):
                    gap = []
            small = mention.removed if b in minus else mention.dropped
            small += [i for i in gap if i not in self.used]


def combine(words: list[Word], manual: list[Mention], automatic: list[Mention], alone: set[int]) -> list[Mention]:
    """Hand-written mentions, and the automatic ones less the words that hand-written ones use."""
    taken = set(alone)
    for mention in manual:
        taken |= mention.words
    out = list(manual)
    for mention in automatic:
        if taken & set(mention.noun):
            continue
        mention.shared = [i for i in mention.shared if i not in taken]
        if taken & set(mention.related):
            mention.related = [i for i in mention.related if i not in taken]
            if all(words[i].low in _SMALL for i in mention.related) and not mention.shared:
                continue
        out.append(mention)
    return sorted(out, key=lambda m: m.noun[0])
