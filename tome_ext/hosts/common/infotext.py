"""The infotext: the text that WebUIs keep with an image. Written and read here for the WebUI and the command line.

``ToMe: paper, ToMe changes: "iterations=6, ets=off", ToMe groups: "cat: hat"``: the nearest preset, what differs
from it, each text in an entry of its own, and the parser that read the prompt. An image made without ToMe has no
such entry. ``ToMe failure: ...`` says what went wrong; reading ignores it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tome_ext import __version__
from tome_ext.prompts import PARSERS
from tome_ext.prompts.spacy_parser import load as spacy_parser
from tome_ext.settings import PRESETS, SettingError, Settings, Value, changes_from_preset, declarations, preset

KEY = "ToMe"
CHANGES = "ToMe changes"
VERSION = "ToMe version"
FAILURE = "ToMe failure"
PARSER = "ToMe parser"
NEGATIVE = "Negative prompt:"
_TEXTS = {s.name: f"{KEY} {s.name.replace('_', ' ')}" for s in declarations() if s.kind == "text"}
_NAMED = {s.name: s for s in declarations() if s.kind != "text"}
# As the WebUI reads its last line: a name, a colon, and text in quotes or without a comma.
_ENTRY = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


@dataclass(frozen=True)
class Infotext:
    """A parsed infotext: the prompt, the negative prompt and the entries of the last line, by name."""

    prompt: str
    negative: str = ""
    entries: Mapping[str, str] = field(default_factory=dict)


def entries(settings: Settings, parser: str, own: Sequence[str] = ()) -> dict[str, str]:
    """The entries of an image made with ``settings``: all that is needed to make it again on another machine.

    ``parser``: the one that read the prompt, ``builtin`` or ``spacy``. ``own``: further changes, as ``name=value``.
    """
    changes = changes_from_preset(settings)
    changes.pop("parser", None)
    out = {KEY: str(changes.pop("preset"))}
    texts = {name: protected(str(changes.pop(name)).strip()) for name in _TEXTS if name in changes}
    named = [*(f"{name}={_NAMED[name].format(value)}" for name, value in changes.items()), *own]
    if named:
        out[CHANGES] = ", ".join(named)
    out |= {_TEXTS[name]: text for name, text in texts.items() if text}
    return out | {PARSER: _with_model(parser), VERSION: __version__}


def written(params: Mapping[str, Any], new: Mapping[str, str], failure: str = "") -> dict[str, Any]:
    """The entries of an infotext with ``ours`` and ``failure`` in place of every entry that ToMe put there before."""
    kept = {key: value for key, value in params.items() if not str(key).startswith(KEY)}
    return {**kept, **new, **({FAILURE: failure} if failure else {})}


def parser_used(name: str) -> str:
    """The parser that reads prompts on this machine where the setting is ``name``: ``spacy`` or ``builtin``."""
    return "spacy" if name != "builtin" and spacy_parser.load()[0] is not None else "builtin"


def _with_model(parser: str) -> str:
    return f"{parser} {spacy_parser.model()}".strip() if parser == "spacy" else parser


def used(params: Mapping[str, Any]) -> bool:
    """Whether the image was made with ToMe: its preset is one that is known here."""
    return entry(params, KEY) in PRESETS


def read(params: Mapping[str, Any]) -> tuple[Settings, dict[str, str]] | None:
    """The settings of a parsed infotext and its further changes by name; None where ToMe was not used.

    The infotext may come from anyone: what is unknown or invalid is ignored.
    """
    name = entry(params, KEY)
    if name not in PRESETS:
        return None
    values: dict[str, Value] = preset(name).to_json()
    more: dict[str, str] = {}
    for key, text in _changes(entry(params, CHANGES) or ""):
        try:
            if key in _NAMED:
                values[key] = _NAMED[key].parse(text)
            else:
                more[key] = text
        except SettingError:
            continue
    values |= {key: entry(params, label) or values[key] for key, label in _TEXTS.items()}
    parser = (entry(params, PARSER) or "").partition(" ")[0]
    if parser in PARSERS:
        values["parser"] = parser
    return _settings(values), more


def _changes(text: str) -> list[tuple[str, str]]:
    items = (item.partition("=") for item in text.split(","))
    return [(name.strip(), value.strip()) for name, equals, value in items if equals]


def _settings(values: Mapping[str, Value]) -> Settings:
    try:
        return Settings().replace(**values)
    except SettingError:  # values that are valid alone but not together
        return Settings().replace(**{**values, "window_start": 0.0})


def entry(params: Mapping[str, Any], label: str) -> str | None:
    """An entry's text. The WebUI's reader splits what looks like a size in two."""
    if f"{label}-1" in params and f"{label}-2" in params:
        return f"{params[f'{label}-1']}x{params[f'{label}-2']}"
    value = params.get(label)
    return None if value is None else str(value)


def protected(text: str) -> str:
    """Text that the WebUI's reader gives back unchanged.

    It takes quotes off a value, but only puts them on where there is a comma, a colon or a line break.
    """
    bare = text.startswith('"') and quoted(text) == text
    return json.dumps(text, ensure_ascii=False) if bare else text


def quoted(text: str) -> str:
    """A value as the WebUI writes it."""
    return json.dumps(text, ensure_ascii=False) if set(",:\n") & set(text) else text


def format_infotext(infotext: Infotext) -> str:
    """The whole text, as the WebUI writes it: prompt, negative prompt, and the entries on the last line."""
    lines = [infotext.prompt] + ([f"{NEGATIVE} {infotext.negative}"] if infotext.negative else [])
    return "\n".join([*lines, ", ".join(f"{name}: {quoted(value)}" for name, value in infotext.entries.items())])


def parse_infotext(text: str) -> Infotext:
    """Read a whole infotext as the WebUI does; the last line holds the entries where it has at least three."""
    *lines, last = text.strip().split("\n")
    found = _ENTRY.findall(last)
    if len(found) < 3:
        lines, found = [*lines, last], []
    prompt: list[str] = []
    negative: list[str] = []
    part = prompt
    for line in lines:
        if line.strip().startswith(NEGATIVE):
            part, line = negative, line.strip()[len(NEGATIVE) :]
        part.append(line.strip())
    return Infotext("\n".join(prompt), "\n".join(negative), {name: _unquoted(value) for name, value in found})


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value
