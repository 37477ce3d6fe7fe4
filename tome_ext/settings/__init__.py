"""Every setting of the method, declared once.

The user interface, the API, the X/Y/Z plot, the infotext, the command line and the settings table in the docs all
derive from these declarations.
"""

from __future__ import annotations

from tome_ext.settings.declaration import Kind, Setting, SettingError, Value, check_unicode, cut, short
from tome_ext.settings.method import Settings, declaration, declarations
from tome_ext.settings.presets import DEFAULT_PRESET, PRESETS, changes_from_preset, preset, settings_from_json

__all__ = [
    "DEFAULT_PRESET",
    "PRESETS",
    "Kind",
    "Setting",
    "SettingError",
    "Settings",
    "Value",
    "changes_from_preset",
    "check_unicode",
    "cut",
    "declaration",
    "declarations",
    "preset",
    "settings_from_json",
    "short",
]
