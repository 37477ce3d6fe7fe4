"""The clean prompt: the typed text with only the base objects."""

from __future__ import annotations

import itertools
import re

_VOWEL_SOUND = re.compile(
    r"(?!(?:uni(?!n|m)|use|usu|euro|ukul|one\b|ufo|uk\b|us\b))[aeiou]|hour|heir|honest|honou?r|8|11\b|18\b", re.I
)


def clean_prompt(text: str, cuts: list[tuple[int, int]]) -> str:
    """``text`` without some typed pieces (in any order); host syntax stays, brackets left empty go.

    The gaps are closed, and an article before a gap agrees with the word that now follows it. Nothing else
    is touched.
    """
    if not cuts:
        return text
    cut, seam = _unused_characters(text)
    parts, at = [], 0
    for start, end in sorted(cuts):
        if start >= at:
            parts.append(text[at:start] + cut)
            at = end
    marked = "".join(parts) + text[at:]
    return _agree(_close(_drop_empty(marked, cut), cut, seam), seam)


def _unused_characters(text: str) -> tuple[str, str]:
    """Two characters that the text does not hold: Unicode's non-characters as a rule, else some of private use."""
    used = set(text)
    places = itertools.chain(range(0xFDD0, 0xFDF0), range(0xE000, 0xF900), range(0xF0000, 0x110000))
    free = (c for c in map(chr, places) if c not in used)
    return next(free), next(free)


def _drop_empty(marked: str, cut: str) -> str:
    """Take away brackets that hold nothing but cuts."""
    inside = rf"[\s_{cut}]{{0,80}}"
    empty = re.compile(
        rf"“{cut}”|‘{cut}’|\"{cut}\"|(?<!\w)'{cut}'|«{cut}»|"
        rf"(?<!\\)\((?={inside}[:)]){inside}{cut}[\s_{cut}]*(?::\s*[+-]?[.\d]+\s*)?\)|(?<!\\)\[(?={inside}\]){inside}\]"
    )
    for _ in range(20):
        marked, n = empty.subn(lambda m: cut if cut in m.group() else m.group(), marked)
        if not n:
            break
    return marked


def _close(marked: str, cut: str, seam: str) -> str:
    """Close the gaps that cuts leave; a seam stays where words moved together."""
    gap = rf"[ \t_]*{cut}[{cut} \t_]*"
    # A tag that went as a whole takes its comma along.
    marked = re.sub(rf"(?<=,){gap}(?:,|(?=\n|\Z))|(?:(?<=\n)|\A){gap},[ \t]*", cut, marked)
    marked = re.sub(rf",{cut}(?=\n|\Z)", cut, marked)

    def join(m: re.Match[str]) -> str:
        before = marked[m.start() - 1] if m.start() else "\n"
        after = marked[m.end()] if m.end() < len(marked) else "\n"
        ends = m.group()[0] + m.group()[-1]
        blank = " " if " " in ends or "\t" in ends else "_" if "_" in ends and (before + after).isalnum() else ""
        return seam + blank if before not in "([\n" and after not in ",.;:!?)]\n" else seam

    return re.sub(rf"(?<![ \t_]){gap}", join, marked)


def _agree(marked: str, seam: str) -> str:
    """Make "a" and "an" agree with the word after a seam; articles elsewhere stay as typed."""

    def fix(m: re.Match[str]) -> str:
        typed, between, word = m.groups()
        article = "an" if _VOWEL_SOUND.match(word) else "a"
        if typed[0] == "A":
            article = article.upper() if len(typed) > 1 and typed.isupper() else article.capitalize()
        return article + between + word

    pattern = rf"(?<![\w'’-])(an?)([ \t(\[]*{seam}[ \t(\[{seam}]*)(\w+)"
    return re.sub(pattern, fix, marked, flags=re.IGNORECASE).replace(seam, "")
