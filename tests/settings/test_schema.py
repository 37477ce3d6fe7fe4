"""The JSON schema accepts what the settings accept, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tome_ext.settings import PRESETS, SettingError, Settings, declarations, preset, settings_from_json
from tome_ext.settings.schema import schema

SCHEMA = json.loads(json.dumps(schema()))  # as a client reads it
KINDS = {"boolean": bool, "integer": int, "number": (int, float), "string": str}
NAMES = [setting.name for setting in declarations()]


def accepts(document: dict[str, Any]) -> bool:
    """What a validator of JSON schema says, for the keywords that are used here."""
    known = {"type", "title", "description", "default", "enum", "minimum", "maximum"}
    for name, value in document.items():
        rule = SCHEMA["properties"].get(name)
        if rule is None:
            return SCHEMA["additionalProperties"] is not False
        assert set(rule) <= known
        kind = KINDS.get(rule.get("type"), object)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if isinstance(value, bool) and kind is not bool:
            return False
        if not isinstance(value, kind) and not (rule.get("type") == "integer" and number and value == int(value)):
            return False
        if "enum" in rule and value not in rule["enum"]:
            return False
        if "minimum" in rule and not rule["minimum"] <= value <= rule["maximum"]:
            return False
    return True


VALUES = (
    st.booleans()
    | st.integers(-5, 30)
    | st.floats(-5, 5, allow_nan=False)
    | st.sampled_from([1e6, 1e7, 0.5, *PRESETS, "close", "zero", "middle", "paper", "on", ""])
)


@given(st.sampled_from([*NAMES, "preset", "window", ""]), VALUES)
def test_the_schema_and_the_settings_agree_about_a_value(name, value):
    document = {"window_stop": 1.0, name: value}  # that the window must not end before it starts, a schema cannot say
    if name in ("window_start", "window_stop") and value == 0:
        return
    try:
        settings_from_json(document)
    except SettingError as error:
        if "must not be greater" not in str(error):
            assert not accepts(document)
    else:
        assert accepts(document)


def test_every_setting_is_there_once_with_its_label_and_its_help():
    properties = SCHEMA["properties"]
    assert list(properties) == ["preset", *NAMES]
    for name in NAMES:
        assert properties[name]["title"]
        assert len(properties[name]["description"]) > 20


def test_the_defaults_are_those_of_the_default_preset():
    assert {name: SCHEMA["properties"][name]["default"] for name in NAMES} == preset("balanced").to_json()
    assert preset("balanced") == Settings()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_in_the_schema_is_the_preset(name):
    values = SCHEMA["$defs"]["presets"]["const"][name]
    assert settings_from_json(values) == preset(name)
    assert accepts(values)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("iterations", "integer"),
        ("step_size", "number"),
        ("members", "string"),
        ("groups", "string"),
    ],
)
def test_kinds_have_their_names_in_json(name, kind):
    assert SCHEMA["properties"][name]["type"] == kind
