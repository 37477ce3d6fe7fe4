"""Presets: full sets of values, each by a name."""

from __future__ import annotations

from collections.abc import Mapping

from tome_ext.settings.declaration import SettingError, Value, nearest, short
from tome_ext.settings.method import Settings

DEFAULT_PRESET = "balanced"

_REFERENCE: dict[str, Value] = {
    # The authors' published code in its object setting; docs/METHOD.md.
    "min_objects": 1,
    "noun_weight": 1.1,
    "related_weight": 1.2,
    "members": "zero",
    "ets": "on",
    "window_stop": 7 / 50,
    "every": 1,
    "iterations": 6,
    "step_size": 3.0,
    "descent": "plain",
    "step_decay": "linear",
    "entropy_form": "reference",
    "order": "separate",
    "binding_iterations": 3,
    "binding_step_size": 1.0,
    "binding_weight": 1e4,
    "position_weight": 0.2,
    "update": "all",
    "latent_step": 0.5,
    "phrase_latent": "own",
    "loss_pooled": "zeros",
    "resolution": 1.0,
}

PRESETS: dict[str, dict[str, Value]] = {
    # Merging and end token substitution alone: no extra UNet pass.
    "fast": {"iterations": 0},
    "balanced": {},
    # What the paper says; where it is silent, as many iterations as the authors' code.
    "paper": {
        "min_objects": 1,
        "related_weight": 1.0,
        "ets": "on",
        "iterations": 4,
        "every": 1,
        "step_size": 3.0,
        "descent": "plain",
        "step_decay": "constant",
        "layers": "paper",
        "resolution": 1.0,
    },
    "reference": _REFERENCE,
    # The authors' attribute setting: a shorter window, and the prompt's own end tokens.
    "reference-attributes": {
        **_REFERENCE,
        "window_stop": 5 / 50,
        "iterations": 4,
        "ets": "off",
        "position_weight": 0.0,
    },
}


def preset(name: str) -> Settings:
    """The settings of a preset; :class:`SettingError` for an unknown one."""
    if name not in PRESETS:
        raise SettingError(f"preset = {short(name)}: must be one of {', '.join(PRESETS)}{nearest(name, PRESETS)}")
    return Settings(**PRESETS[name])  # type: ignore[arg-type]


def settings_from_json(values: Mapping[str, object]) -> Settings:
    """Settings from names and values. ``preset`` may name the preset that the others start from."""
    rest = dict(values)
    name = rest.pop("preset", DEFAULT_PRESET)
    return preset(name if isinstance(name, str) else repr(name)).replace(**rest)


def changes_from_preset(settings: Settings) -> dict[str, Value]:
    """The values that differ from the nearest preset, with that preset's name under ``preset``.

    Of several presets that are equally near the default one is taken.
    """

    def different(name: str) -> dict[str, Value]:
        base = preset(name)
        return {k: v for k, v in settings.to_json().items() if v != getattr(base, k)}

    closest = min(PRESETS, key=lambda name: (len(different(name)), name != DEFAULT_PRESET))
    return {"preset": closest, **different(closest)}
