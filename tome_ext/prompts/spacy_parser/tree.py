"""Objects and what belongs to them, read off a dependency tree (ClearNLP labels, as in spaCy's English models)."""

from __future__ import annotations

from typing import Any

from tome_ext.prompts.lexicon import lexicon
from tome_ext.prompts.lexicon import vocabulary as vocab
from tome_ext.prompts.lexicon.ownership import belongs, can_share, surely_continues
from tome_ext.prompts.parsed import ParsedObject
from tome_ext.prompts.spacy_parser.nodes import (
    animate_above,
    children_of,
    credited,
    is_attribute,
    is_denied,
    is_negated,
    is_object,
    is_placed,
    is_somebody,
    is_word,
    object_children,
    subtree,
)

_OBJECTS = ("dobj", "obj", "attr", "oprd")
_KEPT = ("det", "poss", "nummod", "predet", "quantmod", "case")
_DEEPEST = 12


def analyse(doc: Any) -> list[ParsedObject]:
    """The objects of a parsed text, in token numbers, in the order of the text."""
    return _Tree(doc).run()


class _Tree:
    def __init__(self, doc: Any) -> None:
        self.doc = doc
        self.taken: set[int] = set()
        self.found: dict[int, ParsedObject] = {}
        self.credits = credited(doc)

    def run(self) -> list[ParsedObject]:
        for token in self.doc:
            free = token.i not in self.taken and token.i not in self.credits
            if free and is_object(token) and not is_denied(token):
                self.found[token.i] = self.object_of(token, 0)
        for at, found in self.found.items():
            self.share(self.doc[at], found)
        return list(self.found.values())

    def object_of(self, token: Any, depth: int) -> ParsedObject:
        """A noun with everything that surely belongs to it."""
        found = self.noun_phrase(token)
        self.taken |= found.words
        if depth < _DEEPEST:
            for child in token.children:
                if child.i > token.i:
                    self.follow(token, found, child, depth)
            if depth == 0:
                self.clause(token, found)
        return found

    def noun_phrase(self, token: Any) -> ParsedObject:
        """The noun with its compounds, and the modifiers before it."""
        found = ParsedObject([token.i])
        for child in reversed([c for c in token.children if c.i < token.i]):
            low = child.text.lower()
            if child.dep_ in _KEPT:
                found.kept += subtree(child)
            elif child.dep_ in ("amod", "nmod", "compound", "npadvmod", "acl", "advmod") and is_word(child):
                name = child.dep_ in ("compound", "nmod") and not is_attribute(child)
                known = lexicon.is_phrase(low, token.text.lower()) and low not in vocab.HARD_ATTRIBUTES
                if (name or known) and child.i == min(found.noun) - 1:
                    found.noun.insert(0, child.i)
                    self.compound(child, found)
                else:
                    self.adjective(child, found)
        first = min(found.related, default=token.i)
        joints = [c.i for c in children_of(token, ("punct", "cc")) if first < c.i < token.i]
        found.dropped += [i for i in joints if i not in found.dropped]
        return found

    def compound(self, token: Any, found: ParsedObject) -> None:
        """What hangs on the first part of a compound noun: "ice" in "ice cream cone"."""
        for child in reversed([c for c in token.children if c.i < token.i]):
            if child.dep_ == "compound" and not is_attribute(child) and child.i == min(found.noun) - 1:
                found.noun.insert(0, child.i)
                self.compound(child, found)
            elif child.dep_ in _KEPT:
                found.kept += subtree(child)
            elif child.dep_ in ("amod", "compound", "nmod", "advmod") and is_word(child):
                self.adjective(child, found)

    def adjective(self, token: Any, found: ParsedObject) -> None:
        """An attribute with what modifies it ("very", "dark", "wood" in "wood framed") and its conjuncts."""
        todo = [token]
        while todo:
            now = todo.pop()
            found.related.append(now.i)
            for child in now.children:
                if child.dep_ in ("conj", "advmod", "npadvmod", "amod", "compound", "nmod") and is_word(child):
                    todo.append(child)
                elif child.dep_ in ("cc", "punct") or child.dep_ in _KEPT:
                    (found.kept if child.dep_ in _KEPT else found.dropped).append(child.i)

    def follow(self, subject: Any, found: ParsedObject, child: Any, depth: int) -> None:
        """A clause or a preposition after the noun."""
        low = child.text.lower()
        if child.dep_ in ("relcl", "acl:relcl"):
            self.relative(subject, found, child, depth)
        elif child.dep_ in ("acl", "amod"):
            self.participle(subject, found, child, depth)
        elif child.dep_ == "prep" and low in vocab.WITH:
            self.objects(
                subject, found, [child.i], [], object_children(child, ("pobj",)), "own" if depth else "with", depth
            )
        elif child.dep_ == "prep" and low in ("in", "of") and self.property_of(child):
            self.objects(subject, found, [child.i], [], self.property_of(child), "with", depth)
        elif child.dep_ == "prep" and low == "in":
            self.dress(subject, found, child, depth)
        elif child.dep_ == "prep" and low == "of" and depth > 0:
            self.objects(subject, found, [child.i], [], object_children(child, ("pobj",)), "hold", depth)

    def property_of(self, prep: Any) -> list[Any]:
        """The texture in "of a fluffy texture"."""
        return [c for c in children_of(prep, ("pobj",)) if c.text.lower() in vocab.PROPERTIES and list(c.children)]

    def relative(self, subject: Any, found: ParsedObject, verb: Any, depth: int) -> None:
        """ "that is red", "which has a red roof", "who wears a hat"."""
        who = [c for c in verb.children if c.dep_ in ("nsubj", "nsubjpass") and c.text.lower() in vocab.RELATIVES]
        if not who:
            return
        small = [c.i for c in (*who, *children_of(verb, ("aux", "auxpass", "mark")))]
        if verb.text.lower() in vocab.COPULAS:
            self.predicate(found, verb, [*small, verb.i])
        else:
            self.verb(subject, found, verb, small, depth)

    def predicate(self, found: ParsedObject, verb: Any, small: list[int]) -> None:
        """The adjectives after "is"."""
        for adjective in [] if is_negated(verb) else children_of(verb, ("acomp",)):
            if is_attribute(adjective) or adjective.pos_ == "ADJ":
                found.dropped += small
                self.adjective(adjective, found)
                self.taken.add(adjective.i)
                return

    def participle(self, subject: Any, found: ParsedObject, verb: Any, depth: int) -> None:
        """ "wearing a hat", "dressed in blue", "painted red"; on a thing, "wearing" goes to the nearest person."""
        low = verb.text.lower()
        if verb.dep_ == "amod" and not low.endswith(("ing", "ed", "en")):
            self.adjective(verb, found)
            return
        if low not in vocab.HOLDING:
            self.later(subject, found, verb, depth)
        if low in vocab.HOLDING and not is_somebody(subject):
            wearer = animate_above(subject)
            if wearer is not None and wearer.i in self.found:
                subject, found = wearer, self.found[wearer.i]
        self.verb(subject, found, verb, [], depth)

    def later(self, subject: Any, found: ParsedObject, verb: Any, depth: int) -> None:
        """ "a girl standing on a bridge, holding an umbrella": the second participle hangs on the first."""
        for clause in children_of(verb, ("advcl", "conj", "ccomp", "dep")):
            if is_somebody(subject) and clause.text.lower() in vocab.HOLDING | vocab.CLOTHED:
                self.verb(subject, found, clause, [c.i for c in children_of(clause, ("mark",))], depth)

    def verb(self, subject: Any, found: ParsedObject, verb: Any, small: list[int], depth: int) -> None:
        """The sub-objects of a verb and of the verbs joined to it."""
        now: Any = verb
        for _ in range(_DEEPEST):
            low = "" if is_negated(now) else now.text.lower()
            if low in vocab.HOLDING:
                self.objects(subject, found, [now.i], small, object_children(now, _OBJECTS), "hold", depth)
            elif low in vocab.HAVE:
                self.objects(subject, found, [now.i], small, object_children(now, _OBJECTS), "with", depth)
            elif low in vocab.DRESSED:
                how = "dressed" if low in vocab.CLOTHED else "made"
                for prep in children_of(now, ("prep", "agent")):
                    if prep.text.lower() in vocab.DRESSED_PREPOSITIONS:
                        things = object_children(prep, ("pobj",))
                        self.objects(subject, found, [now.i, prep.i], small, things, how, depth)
            elif low in ("painted", "colored", "coloured", "dyed"):
                for adjective in children_of(now, ("oprd", "acomp", "advmod", "dobj", "xcomp")):
                    if adjective.text.lower() in vocab.COLOURS:
                        found.related.append(now.i)
                        found.dropped += small
                        self.adjective(adjective, found)
            joined = children_of(now, ("conj",))
            if not joined:
                return
            small = [c.i for c in children_of(now, ("cc", "punct"))]
            now = joined[0]

    def dress(self, subject: Any, found: ParsedObject, prep: Any, depth: int) -> None:
        """ "in a blue dress", "in pink"."""
        low = subject.text.lower()
        if not lexicon.animate(low) and lexicon.info(low).known:
            return
        for thing in children_of(prep, ("pobj", "pcomp", "amod")):
            if thing.text.lower() in vocab.COLOURS and not list(thing.children):
                found.related += [prep.i, thing.i]
                self.taken.add(thing.i)
            elif lexicon.wearable(thing.text.lower()):
                self.objects(subject, found, [prep.i], [], [thing], "dressed", depth)

    def objects(
        self,
        subject: Any,
        found: ParsedObject,
        link: list[int],
        small: list[int],
        things: list[Any],
        how: str,
        depth: int,
    ) -> None:
        """Take in a sub-object and those joined to it."""
        for first in things:
            own = how == "with" and any(c.dep_ == "poss" for c in first.children)
            how = "own" if own else how
            if first.i in self.taken or is_placed(first) or is_denied(first) or not self.can_have(subject, first, how):
                continue
            found.related += link
            found.dropped += small
            last: Any = first
            cc: list[int] = []
            now: Any | None = first
            while now is not None:
                inner = self.object_of(now, depth + 1)
                found.absorb(inner)
                found.dropped += cc
                last, cc = now, [c.i for c in children_of(now, ("cc", "punct"))]
                now = next((c for c in children_of(last, ("conj",)) if self.goes_on(subject, last, c, how)), None)

    def can_have(self, subject: Any, thing: Any, how: str) -> bool:
        """Whether a thing can belong to the subject."""
        low = thing.text.lower()
        if low in vocab.PROPERTIES:
            return how == "with" and bool(children_of(thing, ("amod", "compound", "nmod")))
        return belongs(subject.text.lower(), low, how, somebody=is_somebody(subject))

    def goes_on(self, subject: Any, last: Any, token: Any, how: str) -> bool:
        """Whether a joined noun is one more sub-object, not an object with things of its own."""
        low = token.text.lower()
        if token.i in self.taken or not is_object(token) or not self.can_have(subject, token, how):
            return False
        own = any(
            c.i > token.i and (c.dep_ in ("acl", "relcl") or c.text.lower() in vocab.WITH) for c in token.children
        )
        if own and not lexicon.wearable(low):
            return False
        return surely_continues(last.text.lower(), low) or not children_of(token, ("det",))

    def clause(self, token: Any, found: ParsedObject) -> None:
        """The noun as subject of "is red", "has a red roof", "wears a hat"; participles of the verb above."""
        verb = token.head
        if token.dep_ not in ("nsubj", "nsubjpass") or verb.i == token.i:
            return
        low = verb.text.lower()
        if low in vocab.COPULAS:
            self.predicate(found, verb, [verb.i])
        elif low in vocab.HOLDING | vocab.HAVE and lexicon.animate(token.text.lower()):
            self.verb(token, found, verb, [c.i for c in children_of(verb, ("aux",))], 0)
        if lexicon.animate(token.text.lower()):
            for clause in children_of(verb, ("advcl", "conj")):
                if clause.text.lower() in vocab.HOLDING | vocab.DRESSED:
                    self.verb(token, found, clause, [c.i for c in children_of(verb, ("cc",)) if c.i < clause.i], 0)

    def share(self, token: Any, found: ParsedObject) -> None:
        """ "a red car and truck": a bare second noun has the modifiers of the first."""
        if not found.related or found.dropped:
            return
        for other in children_of(token, ("conj",)):
            second = self.found.get(other.i)
            if second is None or second.related or second.kept or not can_share(other.text.lower()):
                continue
            bare = not any(c.dep_ not in ("cc", "punct", "conj") for c in other.children)
            first_plural = token.tag_ in ("NNS", "NNPS")
            if bare and not any(c.text == "," for c in token.children) and (found.kept or first_plural):
                second.shared = [i for i in found.related if i < token.i]
