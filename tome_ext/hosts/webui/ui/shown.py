"""A reading of the prompt as the panel shows it: every word can be clicked, and has the colour of its object.

What the page's script needs stands in ``data-`` attributes; everything that comes from the prompt is escaped. Each
fixed text is a text node of its own, so that the WebUI's localization finds it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from tome_ext.prompts import Reading, read_prompt
from tome_ext.prompts.host_syntax import plain_text
from tome_ext.prompts.reading import TOO_FEW
from tome_ext.prompts.tag import without_tags
from tome_ext.prompts.words import Word, split_words

DETAILS = "Details"
CLEAN = "Clean prompt:"
LEFT_ALONE = "Left alone:"
NOTHING = "Nothing to bind: no word belongs to an object."
SINGLE = "Nothing is bound: with a single object there is nothing to confuse it with."
BY_HAND = "Say it by hand in Groups, for example:"
ADDED = "added"
CLICK = "Click a word, then the object it belongs to; click a word twice to take it out."
_EXAMPLES = ("hat", "scarf")
_HUES = (210, 35, 120, 330, 50, 265, 175, 5)


def as_panel(reading: Reading) -> str:
    """The reading as an HTML fragment."""
    plain, _ = plain_text(reading.text)
    words = [word for word in split_words(plain.text) if word.is_word]
    places = [plain.typed(word.start, word.end) for word in words]
    owners = _owners(reading, places)
    body = _body(reading, words, places, owners)
    rows = "".join(_row(reading, number, words, owners) for number in range(len(reading.groups)))
    listed = f"<ul>{rows}</ul>" if rows else _nothing(reading)
    notes = (*reading.warnings, *reading.hints)
    warnings = "".join(f'<p class="tome-warning">{escape(note)}</p>' for note in notes)
    left = "".join(
        f"<li><span>{escape(one.span.text)}</span>: <span>{escape(one.reason)}</span></li>" for one in reading.ignored
    )
    clean = escape(without_tags(reading.clean).strip())
    return (
        f'<div class="tome-preview"><p class="tome-text">{body}</p>{listed}{warnings}'
        f'<p class="tome-hint"><span>{CLICK}</span></p><details><summary>{DETAILS}</summary>'
        f'<p><span>{CLEAN}</span> <span class="tome-clean">{clean}</span></p>'
        + (f"<p><span>{LEFT_ALONE}</span></p><ul>{left}</ul>" if left else "")
        + "</details></div>"
    )


def _owners(reading: Reading, places: Sequence[tuple[int, int]]) -> list[tuple[int, str]]:
    """For each word the number of its object and its part in it; (-1, "") for a loose one."""
    spans: list[tuple[int, int, int, str]] = []
    for number, group in enumerate(reading.groups):
        spans.append((group.noun.start, group.noun.end, number, "noun"))
        spans += [(span.start, span.end, number, "related") for span in group.related]
        spans += [(term.span.start, term.span.end, number, "extra") for term in group.extra if term.span is not None]
    return [
        next(((number, part) for a, b, number, part in spans if a <= start and end <= b), (-1, ""))
        for start, end in places
    ]


def _body(
    reading: Reading, words: Sequence[Word], places: Sequence[tuple[int, int]], owners: Sequence[tuple[int, str]]
) -> str:
    """The typed text with its words marked."""
    out, at = "", 0
    ignored = {i: one.reason for one in reading.ignored for i in range(one.span.start, one.span.end)}
    for number, ((start, end), (owner, part)) in enumerate(zip(places, owners, strict=True)):
        if start < at:
            continue
        between = escape(reading.text[at:start])
        out += f'<span class="tome-ignored">{between}</span>' if at in ignored and between.strip() else between
        style = f' style="{_style(owner)}"' if owner >= 0 else ""
        kind = f"tome-{part}" if owner >= 0 else "tome-ignored" if start in ignored else "tome-loose"
        title = reading.groups[owner].phrase if owner >= 0 else ignored.get(start, "")
        name = escape(_name([number], words))
        out += (
            f'<span class="tome-word {kind}"{style} title="{escape(title)}" data-name="{name}" '
            f'data-owner="{owner}">{escape(reading.text[start:end])}</span>'
        )
        at = end
    return out + escape(reading.text[at:])


def _row(reading: Reading, number: int, words: Sequence[Word], owners: Sequence[tuple[int, str]]) -> str:
    """One line about an object; the names by which groups by hand would call it and its words."""
    group = reading.groups[number]
    mine = [k for k, (owner, part) in enumerate(owners) if owner == number and part == "noun"]
    related = [k for k, (owner, part) in enumerate(owners) if owner == number and part == "related"]
    name = _name(mine, words) if mine else group.noun.text
    terms = [
        f"{'' if term.weight is None else f'{term.weight:g}*'}{escape(term.text)}"
        + ("" if term.span is not None else f" <i>{ADDED}</i>")
        for term in group.extra
    ]
    shown = ", ".join([*(escape(span.text) for span in group.related), *terms])
    strength = "" if group.strength == 1 else f"*{group.strength:g}"
    named = json.dumps([_name([k], words) for k in related], ensure_ascii=False)
    return (
        f'<li data-owner="{number}" data-noun="{escape(name)}" data-words="{escape(named)}">'
        f'<b style="{_style(number)}">{escape(name)}</b>{strength}: <span class="tome-terms">{shown}</span></li>'
    )


def _name(run: Sequence[int], words: Sequence[Word]) -> str:
    """Some words in a row as groups by hand name them: with "#2" for the second of equal ones."""
    lows = tuple(words[k].low for k in run)
    every = [k for k in range(len(words)) if tuple(word.low for word in words[k : k + len(run)]) == lows]
    text = " ".join(lows)
    return f"{text}#{every.index(run[0]) + 1}" if len(every) > 1 and run[0] in every else text


def _nothing(reading: Reading) -> str:
    """Why nothing is bound, and what to do."""
    if any(one.reason == TOO_FEW for one in reading.ignored):
        (alone, *_) = read_prompt(reading.text, parser=reading.parser).groups
        own = " ".join(span.text for span in alone.related) or _EXAMPLES[0]
        why, example = SINGLE, f"{alone.noun.text}: {own}"
    else:
        nouns = list(dict.fromkeys(one.span.text for one in reading.ignored if one.span.text.isalpha()))[:2]
        why, example = NOTHING, "; ".join(f"{noun}: {word}" for noun, word in zip(nouns, _EXAMPLES, strict=False))
    return (
        f'<p class="tome-nothing"><span>{why}</span> <span>{BY_HAND}</span> '
        f"<code>{escape(example or 'cat: hat; dog: scarf')}</code></p>"
    )


def _style(number: int) -> str:
    return f"background:hsla({_HUES[number % len(_HUES)]},80%,50%,.28)"
