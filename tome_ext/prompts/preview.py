"""The reading of a prompt for people and programs: coloured for the terminal, escaped for a web page, as JSON."""

from __future__ import annotations

from html import escape
from typing import Any

from tome_ext.prompts.groups import Group, Reading, Span, Term

# Terminal colours (256-colour codes) and CSS hues, one pair for each object in turn.
_COLOURS = ((75, 210), (214, 35), (114, 120), (205, 330), (222, 50), (141, 265), (80, 175), (203, 5))
_GREY = 245
_LONGEST_TITLE = 300


def _marks(reading: Reading) -> list[tuple[Span, int, str]]:
    """Spans in order with the number of their object (-1: ignored) and their part in it; none overlap."""
    marks: list[tuple[Span, int, str]] = []
    for k, group in enumerate(reading.groups):
        marks.append((group.noun, k, "noun"))
        marks += [(s, k, "related") for s in group.related]
        marks += [(t.span, k, "extra") for t in group.extra if t.span is not None]
    groups = sorted(marks, key=lambda m: m[0])
    inside = {i for span, _, _ in groups for i in range(span.start, span.end)}
    for item in reading.ignored:
        if item.span.end > item.span.start and not inside & set(range(item.span.start, item.span.end)):
            groups.append((item.span, -1, item.reason))
            inside |= set(range(item.span.start, item.span.end))
    return sorted(groups, key=lambda m: m[0])


def _pieces(reading: Reading) -> list[tuple[str, int, str]]:
    """The whole prompt as pieces: text, object number (-1 ignored, -2 nothing), part."""
    out: list[tuple[str, int, str]] = []
    at = 0
    for span, number, part in _marks(reading):
        if span.start < at:
            continue
        if span.start > at:
            out.append((reading.text[at : span.start], -2, ""))
        out.append((reading.text[span.start : span.end], number, part))
        at = span.end
    if at < len(reading.text):
        out.append((reading.text[at:], -2, ""))
    return out


def _words(reading: Reading, number: int) -> str:
    """One line about an object: its words and terms."""
    group = reading.groups[number]
    parts = [s.text for s in group.related]
    for term in group.extra:
        weight = "" if term.weight is None else f"{term.weight:g}*"
        where = "" if term.span is not None else " (added)"
        parts.append(f"{'' if weight.startswith('-') else '+'}{weight}{term.text}{where}")
    return ", ".join(parts)


def _title(group: Group) -> str:
    """What an object is called: its noun, or the name of an owner that has no word of its own."""
    return f"{group.name} (at {group.noun.text!r})" if group.name else group.noun.text


def _printable(text: str) -> str:
    """Text without control characters, which could drive a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def as_text(reading: Reading, *, colour: bool = True) -> str:
    """The reading for a terminal, with ANSI colours unless ``colour`` is off."""

    def paint(text: str, code: int, style: str = "") -> str:
        return f"\x1b[{style}38;5;{code}m{text}\x1b[0m" if colour else text

    line = ""
    for text, number, part in _pieces(reading):
        shown = _printable(text)
        if number >= 0:
            line += paint(shown, _COLOURS[number % len(_COLOURS)][0], "1;4;" if part == "noun" else "")
        else:
            line += paint(shown, _GREY) if number == -1 else shown
    lines = [line, ""]
    for k, group in enumerate(reading.groups):
        name = paint(_printable(_title(group)), _COLOURS[k % len(_COLOURS)][0], "1;")
        lines.append(f"  {name}: {_printable(_words(reading, k))}")
        lines.append(f"      phrase: {_printable(group.phrase)}")
    if not reading.groups:
        lines.append("  no objects with words that belong to them")
    lines.append(f"  clean: {_printable(reading.clean)}")
    lines += [f"  hint: {_printable(h)}" for h in reading.hints]
    lines += [f"  ignored: {_printable(i.span.text)} ({i.reason})" for i in reading.ignored]
    lines += [f"  warning: {_printable(w)}" for w in reading.warnings]
    return "\n".join(lines) + f"\n  parser: {reading.parser}\n"


def as_html(reading: Reading) -> str:
    """The reading as an HTML fragment. Everything that comes from the prompt is escaped; styles are inline."""
    body = []
    titles = [escape(group.phrase[:_LONGEST_TITLE]) for group in reading.groups]
    for text, number, part in _pieces(reading):
        shown = escape(text)
        if number >= 0:
            style = _style(number, part)
            body.append(f'<span class="tome-{part}" style="{style}" title="{titles[number]}">{shown}</span>')
        elif number == -1:
            body.append(f'<span class="tome-ignored" style="opacity:.55" title="{escape(part)}">{shown}</span>')
        else:
            body.append(shown)
    rows = "".join(
        f'<li><b style="{_style(k, "noun")}">{escape(_title(g))}</b>: {escape(_words(reading, k))}'
        f' <span style="opacity:.7">({escape(g.phrase)})</span></li>'
        for k, g in enumerate(reading.groups)
    )
    rows = rows or "<li>no objects with words that belong to them</li>"
    notes = "".join(f"<li>{escape(w)}</li>" for w in reading.warnings)
    hints = "".join(f"<p>{escape(h)}</p>" for h in reading.hints)
    ignored = "".join(f"<li>{escape(i.span.text)}: {escape(i.reason)}</li>" for i in reading.ignored)
    return (
        f'<div class="tome-preview"><p style="white-space:pre-wrap">{"".join(body)}</p><ul>{rows}</ul>'
        f'<p>Clean prompt: <span style="white-space:pre-wrap">{escape(reading.clean)}</span></p>'
        + hints
        + (f"<p>Warnings</p><ul>{notes}</ul>" if notes else "")
        + (f"<details><summary>Left alone</summary><ul>{ignored}</ul></details>" if ignored else "")
        + "</div>"
    )


def _style(number: int, part: str) -> str:
    hue = _COLOURS[number % len(_COLOURS)][1]
    line = "border-bottom:2px solid currentColor;font-weight:bold;" if part == "noun" else ""
    return f"background:hsla({hue},80%,50%,.25);border-radius:3px;{line}"


def as_json(reading: Reading) -> dict[str, Any]:
    """The reading as JSON values; spans count characters of the given text."""
    return {
        "text": reading.text,
        "parser": reading.parser,
        "groups": [
            {
                "noun": {"text": g.noun.text, "start": g.noun.start, "end": g.noun.end},
                "related": [{"text": s.text, "start": s.start, "end": s.end} for s in g.related],
                "phrase": g.phrase,
                **({"extra": [_term(t) for t in g.extra]} if g.extra else {}),
                **({"name": g.name} if g.name else {}),
                **({"strength": g.strength} if g.strength != 1 else {}),
            }
            for g in reading.groups
        ],
        "clean": reading.clean,
        "warnings": list(reading.warnings),
        **({"clean_problem": reading.clean_problem} if reading.clean_problem else {}),
        **({"hints": list(reading.hints)} if reading.hints else {}),
        "ignored": [
            {"text": i.span.text, "start": i.span.start, "end": i.span.end, "reason": i.reason} for i in reading.ignored
        ],
    }


def _term(term: Term) -> dict[str, Any]:
    out: dict[str, Any] = {"text": term.text, "weight": term.weight}
    if term.span is not None:
        out |= {"start": term.span.start, "end": term.span.end}
    return out
