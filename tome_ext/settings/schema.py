"""The settings as a JSON schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tome_ext.settings import PRESETS, Setting, declarations, preset

_TYPES = {"bool": "boolean", "int": "integer", "float": "number", "choice": "string", "text": "string"}


def schema() -> dict[str, Any]:
    """A JSON schema of the settings, as :func:`tome_ext.settings.settings_from_json` reads them."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of ToMe",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "preset": {"enum": list(PRESETS), "description": "The preset that the other values start from."},
            **properties(declarations()),
        },
        "$defs": {"presets": {"const": presets()}},
    }


def presets() -> dict[str, Any]:
    """All values of each preset."""
    return {name: preset(name).to_json() for name in PRESETS}


def properties(settings: Iterable[Setting]) -> dict[str, Any]:
    """The schema of each declaration by its name."""
    return {setting.name: _property(setting) for setting in settings}


def _property(setting: Setting) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": _TYPES[setting.kind],
        "title": setting.label,
        "description": setting.help,
        "default": setting.default,
    }
    if setting.choices:
        entry["enum"] = list(setting.choices)
    if setting.minimum is not None:
        entry |= {"minimum": setting.minimum, "maximum": setting.maximum}
    return entry
