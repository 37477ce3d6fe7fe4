from __future__ import annotations

import sys
import types

import pytest
from torch import nn

from tests.hosts.webui.ui.standins import Processing
from tome_ext.hosts.webui.backends import detect
from tome_ext.hosts.webui.ui import xyz
from tome_ext.hosts.webui.ui.options import TITLE, Options, argument, arguments
from tome_ext.hosts.webui.ui.xyz import axes
from tome_ext.settings import SettingError, preset

AXES = {axis.label: axis for axis in axes(types.SimpleNamespace)}
OURS = len(list(arguments()))


def processing(args, kind=tuple):
    script = types.SimpleNamespace(name=TITLE.lower(), args_from=2, args_to=2 + OURS)
    full = [*args, *[None] * (OURS - len(args))]
    return Processing(script, kind([0, "another script's", *full, "one more"]))


class Plot:
    """The plot's script: its axes are named by their places. Hosts call the class Script, or XYZ."""

    name = "x/y/z plot"
    args_from, args_to = 0, 2

    def __init__(self, *labels):
        self.current_axis_options = [types.SimpleNamespace(label=label) for label in ("Nothing", *labels)]

    def run(self, p, x_type, y_type):
        raise AssertionError


@pytest.fixture
def plotted(monkeypatch):
    """Lets ``p`` have a plot with these axes."""

    def plot(p, *labels):
        monkeypatch.setattr(xyz, "_plot", lambda: types.SimpleNamespace(script_class=Plot))
        p.scripts.scripts.append(Plot(*(f"[ToMe] {label}" for label in labels)))
        p.script_args = (*(range(1, 3) if len(labels) == 2 else (1, None)), *p.script_args[2:])
        return p

    return plot


@pytest.fixture(autouse=True)
def _no_plot(monkeypatch):
    monkeypatch.setattr(xyz, "_plot", lambda: None)


def options(p):
    return Options.from_args(p.script_args[2 : 2 + OURS])


def apply(p, label, text):
    axis = AXES[f"[ToMe] {label}"]
    axis.apply(p, axis.type(text), [])


def test_there_is_an_axis_for_everything_that_changes_the_image():
    assert set(AXES) == {f"[ToMe] {s.label}" for s in arguments() if s.name != "show_maps"}
    assert len(AXES) == OURS - 1


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_value_becomes_a_script_argument_and_others_stay(kind):
    p = processing([True, "paper"], kind)
    apply(p, "Iterations", "7")
    assert options(p) == Options(True, preset("paper").replace(iterations=7))
    assert type(p.script_args) is kind
    assert (p.script_args[1], p.script_args[-1]) == ("another script's", "one more")


def test_the_cells_of_a_grid_do_not_share_arguments():
    p = processing([True, "paper"], list)
    before = list(p.script_args)
    cell = types.SimpleNamespace(scripts=p.scripts, script_args=p.script_args)
    apply(cell, "Iterations", "7")
    assert p.script_args == before


@pytest.mark.parametrize("order", [("Preset", "Iterations"), ("Iterations", "Preset")])
def test_the_order_of_the_axes_does_not_matter(order):
    p = processing(Options(True, preset("reference")).to_args())
    for label in order:
        apply(p, label, {"Preset": "paper", "Iterations": "1"}[label])
    assert options(p).settings == preset("paper").replace(iterations=1)


def test_tome_can_be_switched_on_by_an_axis():
    p = processing([])
    apply(p, "Enabled", "true")
    assert options(p) == Options(enabled=True)


@pytest.mark.parametrize(
    ("label", "value", "says"),
    [
        ("Iterations", 99, "iterations = 99: must be a whole number from 0 to 20"),
        ("Noun weight", 9.5, "noun_weight = 9.5: must be a number from -4 to 4"),
        ("Preset", "nope", "preset = 'nope': must be one of"),
        ("Groups", "cat::", r"groups = 'cat::'"),
        ("Enabled", "perhaps", "enabled = 'perhaps': must be true or false"),
    ],
)
def test_a_wrong_value_is_refused_before_the_grid_begins(label, value, says):
    axis = AXES[f"[ToMe] {label}"]
    with pytest.raises(SettingError, match=says):
        axis.confirm(processing([True]), [axis.type(argument_default(label)), value])


def argument_default(label):
    return next(s.default for s in arguments() if s.label == label)


@pytest.mark.parametrize("label", AXES)
def test_what_an_axis_offers_and_its_default_pass_its_own_check(label):
    axis = AXES[label]
    setting = next(s for s in arguments() if f"[ToMe] {s.label}" == label)
    axis.confirm(processing([True]), axis.choices() if axis.choices else [setting.default])
    assert (axis.choices is not None) == (argument(setting.name).kind in ("bool", "choice"))


def confirm(p, label, *values):
    AXES[f"[ToMe] {label}"].confirm(p, list(values))


@pytest.mark.parametrize(("label", "value"), [("Iterations", 99), ("Preset", "quick"), ("Groups", "cat::")])
def test_the_api_s_answer_has_the_reason(label, value):
    """It takes status and reason from the exception's attributes."""
    with pytest.raises(SettingError) as raised:
        confirm(processing([True]), label, value)
    assert vars(raised.value) == {"status_code": 422, "detail": str(raised.value)}
    assert str(value) in str(raised.value)


@pytest.fixture
def loaded(monkeypatch):
    """A model that is loaded, with layers of its own."""
    network = nn.Module()
    network.up_blocks = nn.ModuleList([nn.Module()])
    network.up_blocks[0].attentions = nn.ModuleList([nn.Module()])
    network.up_blocks[0].attentions[0].transformer_blocks = nn.ModuleList([nn.Module()])
    network.up_blocks[0].attentions[0].transformer_blocks[0].attn2 = nn.Module()
    models = types.SimpleNamespace(model_data=types.SimpleNamespace(sd_model=object()))
    monkeypatch.setitem(sys.modules, "modules.sd_models", models)
    monkeypatch.setattr(detect, "host_for", lambda model: types.SimpleNamespace(unet=lambda: network))
    return models.model_data


def test_layers_that_the_loaded_model_lacks_are_refused(loaded):
    confirm(processing([True]), "Attention layers", "reference", "up_blocks.*")
    with pytest.raises(SettingError, match=r"layers = 'foo': no cross-attention layer of this model"):
        confirm(processing([True]), "Attention layers", "reference", "foo")


def test_layers_are_not_checked_where_another_model_may_be_used(loaded, plotted):
    p = processing([True])
    p.override_settings = {"sd_model_checkpoint": "another"}
    confirm(p, "Attention layers", "foo")
    p = plotted(processing([True]), "Attention layers", "Enabled")
    p.scripts.scripts[-1].current_axis_options[2].label = "Checkpoint name"
    confirm(p, "Attention layers", "foo")
    loaded.sd_model = None
    confirm(processing([True]), "Attention layers", "foo")


def test_the_window_is_compared_with_its_other_end_in_the_panel():
    late = processing([True, {"window_stop": 0.8}])
    confirm(late, "Refine from", 0.0, 0.3, 0.8)
    with pytest.raises(SettingError, match=r"window_start = 0.9: must not be greater than window_stop = 0.8"):
        confirm(late, "Refine from", 0.0, 0.9)
    with pytest.raises(SettingError, match=r"must not be greater than window_stop = 0.1"):
        confirm(processing([True, {"window_start": 0.3, "window_stop": 0.5}]), "Refine until", 0.1)
    with pytest.raises(SettingError, match="must be a number from 0 to 1"):
        confirm(late, "Refine from", 7.0)


@pytest.mark.parametrize("other", ["Refine until", "Preset"])
def test_the_window_is_not_compared_with_an_end_that_is_plotted(plotted, other):
    p = plotted(processing([True, {"window_stop": 0.1}]), "Refine from", other)
    confirm(p, "Refine from", 0.0, 0.3)
    confirm(p, other, *AXES[f"[ToMe] {other}"].choices() if other == "Preset" else [0.8])


def test_a_panel_that_an_axis_mends_does_not_end_the_grid():
    p = processing([True, "custom", *Options().to_args()[2:]])
    args = list(p.script_args)
    args[2 + [s.name for s in arguments()].index("window_start")] = 0.9
    p.script_args = tuple(args)
    apply(p, "Refine from", "0.1")
    assert options(p).settings.window_start == 0.1


def test_with_tome_off_a_grid_does_not_begin_unless_it_switches_it_on(plotted):
    off = processing([False, "paper"])
    for label, value in (("Iterations", 1), ("Refine from", 0.0), ("Groups", "")):
        with pytest.raises(SettingError, match="ToMe Semantic Binding is off"):
            confirm(off, label, value)
    confirm(off, "Enabled", "true", "false")
    confirm(plotted(off, "Iterations", "Enabled"), "Iterations", 1)
    confirm(processing([False, {"enabled": True}]), "Iterations", 1)
