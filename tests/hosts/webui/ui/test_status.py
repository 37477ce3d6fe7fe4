from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from tome_ext.hosts.webui.ui.options import ORDER
from tome_ext.hosts.webui.ui.status import failed, ratio, status, without_effect
from tome_ext.settings import Settings, preset


def load(monkeypatch, model):
    """The WebUI's modules, with this model loaded."""
    modules = SimpleNamespace(model_data=SimpleNamespace(sd_model=model))
    monkeypatch.setitem(sys.modules, "modules.sd_models", modules)


def test_merging_alone_adds_no_pass():
    assert ratio(preset("fast")) == pytest.approx(1, abs=5e-4)  # the clean prompt's encoding
    assert "No pass" in status(preset("fast"))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [({}, 1.083), ({"is_sdxl": True}, 1.083), ({"is_sd1": True}, 1.078), ({"is_sd2": True}, 1.078)],
    ids=["none loaded", "SDXL", "SD1.5", "SD2"],
)
def test_the_cost_is_that_of_the_kind_of_model_that_is_loaded(monkeypatch, flags, expected):
    load(monkeypatch, SimpleNamespace(**flags) if flags else None)
    assert ratio(preset("balanced")) == pytest.approx(expected, abs=1e-3)  # counted: tests/cost


@pytest.mark.parametrize("flags", [("is_sd1", "is_sdxl"), ("is_sd1", "is_sd2", "is_sdxl")], ids=["Neo", "others"])
@pytest.mark.parametrize("kind", ["is_sd1", "is_sd2", "is_sdxl", "Flux"])
def test_a_model_that_tome_is_not_for_is_told_and_no_cost_is(monkeypatch, flags, kind):
    model = SimpleNamespace(**dict.fromkeys(flags, False))
    if kind in flags:
        setattr(model, kind, True)
    load(monkeypatch, model)
    suited = kind in flags
    for name in ("fast", "paper"):
        assert ("no UNet" in status(preset(name))) == (not suited)
    assert (ratio(preset("paper")) == 1) == (not suited)
    assert ("times that of" in status(preset("paper"))) == suited


def test_without_a_negative_prompt_the_same_extra_counts_twice():
    guided, alone = (ratio(preset("paper"), guided=guided) for guided in (True, False))
    assert alone - 1 == pytest.approx(2 * (guided - 1))


@pytest.mark.parametrize(
    ("settings", "idle", "alive"),
    [
        (Settings(), {"entropy_form"} - {"entropy_form"}, set(ORDER)),
        (preset("fast"), {"step_size", "layers", "window_stop", "entropy_weight"}, {"iterations", "noun_weight"}),
        (Settings(window_stop=0.0), {"iterations", "step_size"}, {"window_start", "window_stop"}),
        (Settings(entropy_weight=0.0), {"layers", "entropy_target"}, {"binding_weight", "resolution"}),
        (Settings(entropy_weight=0.0, binding_weight=0.0), {"iterations"}, {"entropy_weight", "position_weight"}),
        (Settings(ets="off"), {"ets_start", "clean_prompt"}, {"ets", "pooled"}),
        (Settings(ets="off", pooled="clean"), {"ets_start"}, {"clean_prompt"}),
        (preset("reference"), {"entropy_target"}, {"layers"}),
        (Settings(strength=0.0), {"groups", "iterations", "ets"}, {"strength", "enabled", "preset"}),
    ],
)
def test_what_has_no_effect_is_named_and_nothing_else(settings, idle, alive):
    found = set(without_effect(settings))
    assert idle <= found
    assert not alive & found


def test_values_of_a_preset_that_the_panel_does_not_show_are_named():
    shown = status(preset("reference").replace(iterations=2))
    assert "Loss order = separate" in shown
    assert "Loss order" not in status(preset("reference"))


def test_a_mistake_is_escaped_and_in_the_panel_s_words():
    shown = failed("window_start = 0.9: must not be greater than window_stop = 0.2 <b>")
    assert "Refine from = 0.9: must not be greater than Refine until = 0.2 &lt;b&gt;" in shown
