from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tome_ext.settings import (
    PRESETS,
    Setting,
    SettingError,
    Settings,
    changes_from_preset,
    declaration,
    declarations,
    preset,
    settings_from_json,
    short,
)

ALL = list(declarations())
NUMBERS = [s for s in ALL if s.kind in ("int", "float")]


def valid_values(setting: Setting) -> st.SearchStrategy:
    if setting.kind == "bool":
        return st.booleans()
    if setting.kind == "choice":
        return st.sampled_from(setting.choices)
    if setting.kind == "text":
        return st.text(max_size=50)
    if setting.kind == "int":
        return st.integers(int(setting.minimum), int(setting.maximum))
    return st.floats(setting.minimum, setting.maximum)


one_setting_and_value = st.sampled_from(ALL).flatmap(lambda s: st.tuples(st.just(s), valid_values(s)))
some_settings = st.fixed_dictionaries({}, optional={s.name: valid_values(s) for s in ALL}).filter(
    lambda values: values.get("window_start", 0.0) <= values.get("window_stop", 0.2)
)


@given(one_setting_and_value)
def test_parse_reads_back_what_format_wrote(pair):
    setting, value = pair
    assert setting.parse(setting.format(value)) == value
    assert type(setting.parse(setting.format(value))) is type(setting.default)


@given(some_settings)
def test_settings_survive_json(values):
    settings = Settings(**values)
    assert settings_from_json(json.loads(json.dumps(settings.to_json()))) == settings


@given(some_settings)
def test_changes_from_the_nearest_preset_are_enough_to_rebuild_the_settings(values):
    settings = Settings(**values)
    assert settings_from_json(changes_from_preset(settings)) == settings


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_by_name_is_its_own_nearest(name):
    assert changes_from_preset(preset(name)) == {"preset": name}


@pytest.mark.parametrize("changes", [{"iterations": 2}, {"iterations": 20}, {"window_stop": 0.5, "iterations": 3}])
def test_of_equally_near_presets_the_default_is_named(changes):
    assert changes_from_preset(Settings(**changes)) == {"preset": "balanced", **changes}


@pytest.mark.parametrize("setting", ALL, ids=lambda s: s.name)
def test_an_error_never_repeats_a_value_of_megabytes(setting):
    for value in ("x" * 3_000_000, ["x"] * 1_000_000, 10**5000):
        with pytest.raises(SettingError) as caught:
            Settings(**{setting.name: value})
        assert len(str(caught.value)) < 400
        assert str(caught.value).startswith(setting.name)
    with pytest.raises(SettingError) as caught:
        Settings().replace(**{"x" * 3_000_000: 1})
    assert len(str(caught.value)) < 2000


def test_a_short_value_is_shown_whole_and_of_a_long_one_the_beginning_with_its_length():
    assert [short(value) for value in ("cat", 1.5, ["a", None])] == ["'cat'", "1.5", "['a', None]"]
    assert short("x" * 101) == f"'{'x' * 100}'… (101 characters)"
    assert short(list(range(1000)))[:20] == "[0, 1, 2, 3, 4, 5, 6"
    assert short(10**5000) == "(int, too large to show)"


def test_a_text_has_a_longest_length():
    assert Settings(groups="x" * 20_000).groups
    with pytest.raises(SettingError, match=r"groups = 'xx.*… \(20001 characters\): must be at most 20000"):
        Settings(groups="x" * 20_001)


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda s: s.name)
@pytest.mark.parametrize("outside", ["below", "above", "nan", "infinite", "huge", "text", "bool"])
def test_a_number_out_of_range_is_refused_naming_setting_value_and_range(setting, outside):
    value = {
        "below": setting.minimum - 1,
        "above": setting.maximum + 1,
        "nan": math.nan,
        "infinite": math.inf,
        "huge": 10**400,
        "text": "much",
        "bool": True,
    }[outside]
    with pytest.raises(SettingError) as caught:
        Settings(**{setting.name: value})
    message = str(caught.value)
    assert message.startswith(f"{setting.name} = {short(value)}")
    assert f"from {setting.minimum:g} to {setting.maximum:g}" in message


@pytest.mark.parametrize("setting", [s for s in ALL if s.kind == "choice"], ids=lambda s: s.name)
@pytest.mark.parametrize("value", ["", "nothing like it", None, 3])
def test_a_choice_that_is_not_offered_is_refused_with_the_choices(setting, value):
    with pytest.raises(SettingError, match=", ".join(setting.choices)):
        Settings(**{setting.name: value})


def test_a_whole_number_may_be_written_as_a_float_but_not_with_a_fraction():
    assert declaration("iterations").parse("2.0") == 2
    with pytest.raises(SettingError, match="a whole number from 0 to 20"):
        declaration("iterations").parse("2.5")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("noun_wieght", "noun_weight"), ("windowstop", "window_stop"), ("et", "ets"), ("latent", "latent_step")],
)
def test_an_unknown_name_suggests_the_nearest(wrong, right):
    with pytest.raises(SettingError, match=f"{wrong}.*did you mean '{right}'"):
        Settings().replace(**{wrong: 1})


def test_an_unknown_preset_suggests_the_nearest():
    with pytest.raises(SettingError, match="did you mean 'balanced'"):
        preset("balnced")


def test_the_window_must_not_end_before_it_starts():
    with pytest.raises(SettingError, match=r"window_start = 0\.5.*window_stop = 0\.2"):
        Settings(window_start=0.5)


@given(
    st.dictionaries(
        st.text(max_size=12) | st.sampled_from([s.name for s in ALL] + ["self", "preset"]), st.from_type(object)
    )
)
def test_json_from_anyone_gives_settings_or_a_setting_error(values):
    try:
        settings = settings_from_json(values)
    except SettingError:
        return
    assert settings_from_json(settings.to_json()) == settings


def test_only_settings_with_iterations_inside_a_window_refine():
    assert preset("balanced").refines
    assert not preset("fast").refines
    assert not Settings(window_stop=0.0).refines
    assert Settings(iterations=0, order="separate").refines
    assert not Settings(iterations=0, order="separate", binding_iterations=0).refines
