"""The settings in the text below an image, written and read back.

``ToMe: paper, ToMe changes: "iterations=6, ets=false", ToMe groups: "cat: hat"``: the nearest preset, what differs
from it, every text on its own, and the parser that read the prompt, spaCy with its model. An image made without ToMe
has none of it.

``ToMe failure: ...`` says what went wrong: alone where nothing of ToMe is in the image, else beside the settings.
Reading leaves it out.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

from tome_ext import __version__
from tome_ext.hosts.webui.ui.options import Options, argument, preset_of
from tome_ext.prompts import PARSERS
from tome_ext.prompts.spacy_parser import load as spacy_parser
from tome_ext.settings import (
    DEFAULT_PRESET,
    PRESETS,
    SettingError,
    Settings,
    Value,
    changes_from_preset,
    declarations,
    preset,
)

KEY = "ToMe"
CHANGES = "ToMe changes"
VERSION = "ToMe version"
FAILURE = "ToMe failure"
PARSER = "ToMe parser"
_OWN = ("hires", "show_maps")
_TEXTS = {s.name: f"{KEY} {s.name.replace('_', ' ')}" for s in declarations() if s.kind == "text"}


def entries(options: Options) -> dict[str, str]:
    """What to add to the infotext; everything needed to make the image again, on another machine as well."""
    changes = changes_from_preset(options.settings)
    changes.pop("parser", None)
    out = {KEY: str(changes.pop("preset"))}
    texts = {name: _protected(str(changes.pop(name)).strip()) for name in _TEXTS if name in changes}
    rest = [(argument(name), value) for name, value in changes.items()]
    rest += [(argument(name), getattr(options, name)) for name in _OWN]
    named = [f"{s.name}={s.format(value)}" for s, value in rest if s.name not in _OWN or value != s.default]
    if named:
        out[CHANGES] = ", ".join(named)
    out |= {_TEXTS[name]: text for name, text in texts.items() if text}
    return out | {PARSER: _with_model(parser_used(options.settings.parser)), VERSION: __version__}


def written(params: Mapping[str, Any], ours: Mapping[str, str], failure: str = "") -> dict[str, Any]:
    """The infotext's parameters with these entries, and this failure, in place of all that we put there before."""
    kept = {key: value for key, value in params.items() if not str(key).startswith(KEY)}
    return {**kept, **ours, **({FAILURE: failure} if failure else {})}


def parser_used(name: str) -> str:
    """The parser that a setting stands for on this machine."""
    return ("spacy" if spacy_parser.load()[0] is not None else "builtin") if name == "auto" else name


def _with_model(parser: str) -> str:
    return f"{parser} {spacy_parser.model()}".strip() if parser == "spacy" else parser


def read(params: Mapping[str, Any]) -> Options:
    """The options of a parsed infotext, which may come from anyone: what is unknown or invalid is left out."""
    name = _entry(params, KEY)
    if name is None:
        return Options()
    values: dict[str, Value] = {**preset(name if name in PRESETS else DEFAULT_PRESET).to_json()}
    own: dict[str, Any] = {}
    for key, text in _named(_entry(params, CHANGES) or ""):
        try:
            value = argument(key).parse(text)
        except SettingError:
            continue
        (own if key in _OWN else values)[key] = value
    values |= {key: _entry(params, label) or values[key] for key, label in _TEXTS.items()}
    parser = (_entry(params, PARSER) or "").partition(" ")[0]
    if parser in PARSERS:
        values["parser"] = parser
    return Options(enabled=True, settings=_settings(values), **own)


@functools.cache
def reader(name: str) -> Callable[[Mapping[str, Any]], Value | None]:
    """How a control reads its value from a parsed infotext; always the same function for one name.

    Without ToMe in it, the switch goes off and every other control stays as it is (None).
    """

    def value(params: Mapping[str, Any]) -> Value | None:
        if name == "enabled":
            return KEY in params
        if KEY not in params:
            return None
        options = read(params)
        if name == "preset":
            return preset_of(options.settings)
        found: Value = getattr(options if name in _OWN else options.settings, name)
        return found

    return value


def _settings(values: Mapping[str, Value]) -> Settings:
    try:
        return Settings().replace(**values)
    except SettingError:  # values that are valid alone but not together
        return Settings().replace(**{**values, "window_start": 0.0})


def _named(text: str) -> list[tuple[str, str]]:
    known: list[tuple[str, str]] = []
    for item in text.split(","):
        name, equals, value = item.partition("=")
        if equals and _is_known(name.strip()):
            known.append((name.strip(), value.strip()))
    return known


def _is_known(name: str) -> bool:
    return name in _OWN or any(s.name == name and s.kind != "text" for s in declarations())


def _entry(params: Mapping[str, Any], label: str) -> str | None:
    """An entry's text. The WebUI's reader splits what looks like a size in two."""
    if f"{label}-1" in params and f"{label}-2" in params:
        return f"{params[f'{label}-1']}x{params[f'{label}-2']}"
    value = params.get(label)
    return None if value is None else str(value)


def _protected(text: str) -> str:
    """Text that the WebUI's reader gives back unchanged.

    It takes quotes off a value, but only puts them on where there is a comma, a colon or a line break.
    """
    bare = text.startswith('"') and not set(",:\n") & set(text)
    return json.dumps(text, ensure_ascii=False) if bare else text
