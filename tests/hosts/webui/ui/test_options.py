from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tome_ext.hosts.webui.ui.options import CUSTOM, Options, argument, arguments, in_preset, preset_of
from tome_ext.settings import PRESETS, Settings, declarations, preset
from tome_ext.settings import SettingError as Refused

NAMES = [setting.name for setting in arguments()]
# Requests hold values by their place: from the first release on, this list only grows at its end.
# fmt: off
FROZEN = (
    "enabled", "preset", "strength", "groups", "hires", "show_maps", "parser", "clean_prompt",
    "min_objects", "noun_weight", "related_weight", "members", "ets", "ets_start", "pooled",
    "iterations", "window_start", "window_stop", "every", "step_size", "step_decay", "descent", "update",
    "checkpointing",
    "entropy_weight", "binding_weight", "position_weight", "entropy_target", "layers", "resolution",
    "order", "binding_iterations", "binding_step_size", "latent_step", "phrase_latent", "loss_pooled", "entropy_form",
)
# fmt: on


def values_of(setting):
    if setting.kind == "bool":
        return st.booleans()
    if setting.kind == "choice":
        return st.sampled_from([c for c in setting.choices if (setting.name, c) != ("preset", CUSTOM)])
    if setting.name == "layers":
        return st.sampled_from(["paper", "middle", "up_blocks.0.*, mid_block.*"])
    if setting.kind == "text":
        return st.sampled_from(
            ["", "cat: hat; dog: blue", 'cat: hat, "red, shiny"\ndog + 1.2*tie', "512x512", '"hat": a']
        )
    if setting.kind == "int":
        return st.integers(int(setting.minimum), int(setting.maximum))
    return st.floats(setting.minimum, setting.maximum)


def mappings(names=NAMES):
    known = {name: values_of(argument(name)) for name in names if name != "groups"}
    known["groups"] = st.sampled_from(["", "cat: hat; dog: blue"])
    return st.fixed_dictionaries({}, optional=known).filter(
        lambda values: values.get("window_start", 0.0) <= values.get("window_stop", 0.1)
    )


def test_the_order_of_the_arguments_only_grows_at_its_end():
    assert tuple(NAMES[: len(FROZEN)]) == FROZEN


def test_every_setting_has_a_place_among_the_arguments():
    assert {s.name for s in declarations()} < set(NAMES)
    assert len(NAMES) == len(set(NAMES))


def test_no_arguments_are_the_defaults_and_off():
    assert Options.from_args([]) == Options() == Options(enabled=False, settings=preset("balanced"))


@given(mappings())
def test_arguments_survive_json_and_the_way_back(values):
    options = Options.from_args([True, values])
    assert Options.from_args(json.loads(json.dumps(options.to_args()))) == options


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_s_name_with_a_missing_tail_is_the_whole_preset(name):
    assert Options.from_args([True, name]).settings == preset(name)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_by_name_is_the_whole_preset(name):
    assert Options.from_args([True, {"preset": name}]).settings == preset(name)
    assert preset_of(preset(name)) == name


def test_a_value_off_its_default_counts_over_the_preset_beside_it():
    args = Options(True, preset("paper").replace(iterations=7)).to_args()
    args[1] = "paper"
    assert Options.from_args(args).settings == preset("paper").replace(iterations=7)


def test_custom_takes_every_value_as_it_stands():
    args = Options(True, preset("paper").replace(iterations=1)).to_args()
    assert args[1] == CUSTOM
    assert Options.from_args(args).settings == preset("paper").replace(iterations=1)


def test_values_by_name_count_over_the_preset_and_over_the_tail():
    tail = Options(True, preset("reference")).to_args()[2:]
    found = Options.from_args([True, {"preset": "paper", "iterations": 1, "hires": "off"}, *tail])
    assert found.settings == preset("paper").replace(iterations=1)
    assert found.hires == "off"


def test_a_mapping_without_a_preset_starts_from_the_tail():
    tail = Options(True, preset("reference")).to_args()[2:]
    assert Options.from_args([True, {"iterations": 2}, *tail]).settings == preset("reference").replace(iterations=2)


def test_a_preset_leaves_the_words_alone():
    args = Options(True, Settings(groups="cat: hat", clean_prompt="a cat", parser="builtin")).to_args()
    args[1] = "paper"
    assert Options.from_args(args).settings == preset("paper").replace(
        groups="cat: hat", clean_prompt="a cat", parser="builtin"
    )


def test_null_stands_for_the_default():
    assert Options.from_args([True, None, None, None, None]) == Options(enabled=True)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["yes"], r"enabled = 'yes': must be true or false"),
        ([True, "nope"], r"preset = 'nope': must be one of fast, balanced"),
        ([True, {"iterations": 99}], r"iterations = 99: must be a whole number from 0 to 20"),
        ([True, {"iteration": 9}], r"'iteration'; did you mean 'iterations'"),
        ([True, {"preset ": "paper"}], r"'preset '; did you mean 'preset'"),
        ([True, {"groups": ":" * 9000}], r"groups = '.{,110}… \(9000 characters\): expected"),
        ([True, "fast", 1.0, "", "often"], r"hires = 'often': must be one of refine, merge, off"),
        ([True, {"groups": "cat::"}], r"groups = 'cat::': expected .* \(character 5\)"),
        ([True, {"window_start": 0.5}], r"window_start = 0\.5: must not be greater than window_stop"),
        ([True, {"layers": " "}], r"layers = '': must name layers"),
        ([True] * 99, r"args: at most \d+ values, not 99"),
    ],
)
def test_a_wrong_argument_is_refused_by_name_and_range(args, says):
    with pytest.raises(Refused, match=says):
        Options.from_args(args)


@given(st.lists(st.from_type(object), max_size=5))
def test_arguments_from_anyone_give_options_or_a_refusal(args):
    try:
        options = Options.from_args(args)
    except Refused:
        return
    assert Options.from_args(options.to_args()) == options


def test_presets_decide_the_method_and_not_how_the_prompt_is_read():
    changed = {key for values in PRESETS.values() for key in values}
    assert changed <= {s.name for s in declarations() if in_preset(s)}
