"""The nodes' inputs, from the declarations of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io

from tome_ext.settings import DEFAULT_PRESET, PRESETS, Setting, Settings, declaration, declarations, preset

AS_PRESET = "as the preset"
# These two stand on *ToMe Text Encode*.
_ELSEWHERE = ("groups", "clean_prompt")
_PRESETS_HELP = (
    "fast: merging alone, at no extra cost. balanced: our best. paper: what the paper says. reference: what the "
    "authors' code does for objects with sub-objects, reference-attributes for attributes alone."
)


def preset_input() -> Any:
    """The choice of a preset."""
    return io.Combo.Input("preset", options=list(PRESETS), default=DEFAULT_PRESET, tooltip=_PRESETS_HELP)


def text_input(name: str) -> Any:
    """A setting that is text, with its help."""
    return io.String.Input(name, default="", optional=True, multiline=False, tooltip=declaration(name).help)


def setting_inputs() -> list[Any]:
    """An input for each other setting; its first value, below the least one allowed, leaves it to the preset."""
    return [_input(setting) for setting in declarations() if setting.name not in _ELSEWHERE]


def settings_of(name: str, values: Mapping[str, Any]) -> Settings:
    """The settings of a preset with the ``values`` of :func:`setting_inputs`. Raises SettingError."""
    own = preset(name)
    chosen = {key: value for key, value in values.items() if not _left(declaration(key), value)}
    truth = {"true": True, "false": False}
    return own.replace(**{k: truth.get(v, v) if declaration(k).kind == "bool" else v for k, v in chosen.items()})


def _left(setting: Setting, value: Any) -> bool:
    """Whether a value leaves the setting to the preset."""
    if setting.kind in ("choice", "bool"):
        return bool(value == AS_PRESET)
    if setting.kind == "text":
        return not str(value).strip()
    return bool(value == _below(setting))


def _below(setting: Setting) -> float:
    assert setting.minimum is not None
    return min(-1.0, setting.minimum - 1)


def _input(setting: Setting) -> Any:
    named: dict[str, Any] = {
        "optional": True,
        "tooltip": f"{setting.label}. {setting.help}",
        "display_name": setting.name,
    }
    if setting.kind in ("choice", "bool"):
        choices = setting.choices or ("true", "false")
        return io.Combo.Input(setting.name, options=[AS_PRESET, *choices], default=AS_PRESET, **named)
    if setting.kind == "text":
        return io.String.Input(
            setting.name, default="", **{**named, "tooltip": f"{named['tooltip']} Empty: {AS_PRESET}."}
        )
    below = _below(setting)
    named["tooltip"] = f"{named['tooltip']} {below:g}: {AS_PRESET}."
    if setting.kind == "int":
        return io.Int.Input(setting.name, default=int(below), min=int(below), max=int(setting.maximum or 0), **named)
    step = setting.step or 0.01
    return io.Float.Input(setting.name, default=below, min=below, max=setting.maximum, step=step, round=1e-6, **named)
