"""From a prompt to its reading: which words belong to which object, and the clean prompt."""

from __future__ import annotations

from tome_ext.prompts.builtin import parser as builtin
from tome_ext.prompts.clean_check import broken
from tome_ext.prompts.clean_prompt import clean_prompt
from tome_ext.prompts.groups import Ignored, Reading, Span
from tome_ext.prompts.host_syntax import plain_text
from tome_ext.prompts.host_syntax.a1111 import networks
from tome_ext.prompts.joints import divided
from tome_ext.prompts.manual.characters import hints
from tome_ext.prompts.manual.grammar import parse_groups
from tome_ext.prompts.manual.resolve import Resolver, combine
from tome_ext.prompts.parsed import ParsedObject
from tome_ext.prompts.spacy_parser import load as spacy_parser
from tome_ext.prompts.spans import disjoint, group_of, ignored_of
from tome_ext.prompts.words import Word

PARSERS = ("auto", "spacy", "builtin")
_EDITING = "prompt editing: this branch is a text of its own"
TOO_FEW = "the only object with words of its own, so there is nothing to confuse it with"
_NETWORK = "a network tag, not part of the prompt's text"


def read_prompt(
    text: str,
    *,
    parser: str = "auto",
    manual: str = "",
    clean: str = "",
    syntax: str = "a1111",
    min_objects: int = 1,
) -> Reading:
    """Read one prompt (one scheduled variant, one AND part); nothing is ever merged on a guess.

    ``parser``: "spacy" or "builtin"; "auto" is spaCy where a model is installed.
    ``manual``: groups written by hand (:mod:`tome_ext.prompts.manual.grammar`), which win over the automatic ones
    for the words they use; GroupSyntaxError where they break the grammar.
    ``clean``: the clean prompt by hand.
    ``syntax``: the prompt language (:mod:`tome_ext.prompts.host_syntax`): "a1111" for the WebUI's, "comfy" for
    ComfyUI's, "plain" where brackets and colons are ordinary characters.
    ``min_objects``: with fewer objects none is bound; groups by hand always are.
    """
    if parser not in PARSERS:
        raise ValueError(f"parser must be one of {', '.join(PARSERS)}, not {parser!r}")
    written = parse_groups(manual) if manual.strip() else []
    plain, branches = plain_text(text, syntax)
    if syntax != "plain":
        plain = divided(text, plain)
    used, words, objects, warnings = _parse(plain.text, parser)
    automatic = disjoint([m for m in objects if not m.reason])
    resolver = Resolver(words)
    by_hand = resolver.resolve(written)
    found = combine(words, by_hand, automatic, resolver.left_alone) if written else automatic
    resolver.strengthen(found)
    if len(found) < min_objects and not by_hand:
        for alone in found:
            alone.reason = TOO_FEW
        found = []
    left = [m for m in objects if m.reason]
    cut = _cut_words(found)
    cleaned = clean_prompt(text, [plain.typed(words[i].start, words[i].end) for i in sorted(cut)])
    problem = "" if clean.strip() else broken(text, cleaned, words, cut)
    notes = [f"the clean prompt is not used ({problem}): {_short(cleaned)!r}; one by hand can take its place"]
    notes = notes if problem else []
    return Reading(
        text=text,
        parser=used,
        groups=tuple(group_of(text, plain, words, m, syntax) for m in found),
        clean=clean.strip() or cleaned,
        warnings=(*warnings, *resolver.warnings, *notes),
        ignored=tuple(
            sorted([*ignored_of(text, plain, words, left), *_host_syntax(text, branches, syntax)], key=_start)
        ),
        clean_problem=problem,
        hints=() if written else hints(words, found),
    )


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:80] + "…"


def _start(ignored: Ignored) -> int:
    return ignored.span.start


def _parse(text: str, parser: str) -> tuple[str, list[Word], list[ParsedObject], list[str]]:
    """The parser that read the text, its words and objects, and warnings."""
    if parser != "builtin":
        nlp, problem = spacy_parser.load()
        if nlp is not None:
            return ("spacy", *spacy_parser.parse(nlp, text), [])
        if parser == "spacy":
            return ("builtin", *builtin.parse(text), [f"{problem}; the built-in parser is used"])
    return ("builtin", *builtin.parse(text), [])


def _cut_words(found: list[ParsedObject]) -> set[int]:
    """The words that the clean prompt does without."""
    return {i for m in found for i in (*m.related, *m.dropped, *m.removed, *(k for _, run in m.extra for k in run))}


def _host_syntax(text: str, branches: list[tuple[int, int]], syntax: str) -> list[Ignored]:
    """Typed pieces that are no text of this variant."""
    if syntax != "a1111":
        return []
    out = [Ignored(Span(a, b, text[a:b]), _EDITING) for a, b in branches]
    return out + [Ignored(Span(a, b, text[a:b]), _NETWORK) for a, b in networks(text)]
