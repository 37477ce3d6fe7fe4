"""The presets that this WebUI knows: the built-in ones, and those that its user saved.

They lie in ``tome-presets`` in the WebUI's data folder, which updates of the WebUI and of extensions leave alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tome_ext.settings import PRESETS, Settings, preset
from tome_ext.settings.own_presets import OwnPresets, load

FOLDER = "tome-presets"


def folder() -> Path | None:
    """Where the user's presets lie; None where no WebUI runs."""
    paths = sys.modules.get("modules.paths")
    data = getattr(paths, "data_path", None)
    return None if data is None else Path(data) / FOLDER


def own() -> OwnPresets:
    """The user's presets as they are now."""
    return load(folder())


def presets() -> dict[str, Settings]:
    """All presets by name, the built-in ones first."""
    saved = {name: Settings(**values) for name, values in own().values.items()}  # type: ignore[arg-type]
    return {**{name: preset(name) for name in PRESETS}, **saved}


def preset_named(name: str) -> Settings:
    """The settings of a preset, built-in or the user's; :class:`tome_ext.settings.SettingError` for an unknown one."""
    return presets().get(name) or preset(name)
