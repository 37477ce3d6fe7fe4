"""The widgets of *ToMe Settings*: what is left at its first value is the preset's."""

from __future__ import annotations

import pytest

from tests.hosts.comfyui.modules import imported
from tome_ext.settings import PRESETS, SettingError, declarations, preset


class Io:
    """ComfyUI's inputs, as what they were made with."""

    def __getattr__(self, kind):
        return type(kind, (), {"Input": staticmethod(lambda name, **options: (kind, name, options))})


@pytest.fixture
def inputs(monkeypatch):
    for module in imported(monkeypatch, "inputs"):
        monkeypatch.setattr(module, "io", Io())
        yield module


@pytest.mark.parametrize("name", list(PRESETS))
def test_what_is_left_alone_is_the_presets(inputs, name):
    untouched = {setting: options["default"] for _, setting, options in inputs.setting_inputs()}
    assert inputs.settings_of(name, untouched) == preset(name)


def test_every_setting_has_an_input_with_its_range_and_help(inputs):
    found = {name: (kind, options) for kind, name, options in inputs.setting_inputs()}
    for setting in declarations():
        if setting.name in ("groups", "clean_prompt"):
            assert setting.name not in found
            continue
        kind, options = found[setting.name]
        assert setting.help in options["tooltip"]
        assert options["optional"]
        if setting.kind in ("int", "float"):
            assert options["max"] == setting.maximum
            assert options["default"] == options["min"] < setting.minimum
        elif setting.kind == "choice":
            assert kind == "Combo"
            assert set(setting.choices) < set(options["options"])


def test_what_is_set_counts(inputs):
    made = inputs.settings_of("paper", {"iterations": 2, "ets": "off", "layers": "middle", "window_start": -1.0})
    assert made == preset("paper").replace(iterations=2, ets="off", layers="middle")


def test_zero_is_a_value(inputs):
    assert inputs.settings_of("balanced", {"iterations": 0}).iterations == 0


def test_values_that_do_not_fit_together_are_refused(inputs):
    with pytest.raises(SettingError, match="window_start"):
        inputs.settings_of("balanced", {"window_start": 0.5})
