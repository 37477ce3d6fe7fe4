from __future__ import annotations

import json
import re
import sys
import types
from pathlib import Path

import pytest

from tests.hosts.webui.ui.standins import Component, Processing

TITLE = "ToMe Semantic Binding"


def options_module():
    import tome_ext.hosts.webui.ui.options as found

    return found


def events(component, event):
    return [one for one in component.events if one["event"] == event]


def test_the_controls_stand_in_the_order_of_the_arguments_with_their_defaults(script):
    arguments = list(options_module().arguments())
    assert [c.value for c in script.controls] == [a.default for a in arguments]
    ids = [c.elem_id for c in script.controls]
    assert ids[1:] == [f"script_txt2img_tome_semantic_binding_{a.name}" for a in arguments[1:]]
    assert len(set(ids)) == len(ids)


def test_labels_are_unique_and_none_is_mistaken_for_the_host_s_token_merging(script):
    labels = [c.label for c in script.controls]
    assert len(set(labels)) == len(labels)
    assert labels[0] == TITLE
    assert all(label.startswith("ToMe") for label in labels if "merg" in label.lower() or "token" in label.lower())


def test_a_slider_offers_all_that_is_allowed_and_nothing_else(script):
    module = options_module()
    names = [a.name for a in module.arguments()]
    sliders = {n: c for n, c in zip(names, script.controls, strict=True) if type(c).__name__ == "Slider"}
    assert len(sliders) > 10

    def refused(name, value):
        around = {"window_start": {"window_stop": 1.0}, "window_stop": {"window_start": 0.0}}.get(name, {})
        try:
            module.Options.from_args([True, {**around, name: value}])
        except ValueError:
            return True
        return False

    for name, control in sliders.items():
        low, high = control.minimum, control.maximum
        assert [refused(name, value) for value in (low, high, low - 1, high + 1)] == [False, False, True, True], name
        assert low <= control.value <= high
        assert 0 < control.step <= high - low


def test_every_control_that_is_shown_says_what_it_does(script):
    shown = [control for control in script.controls[1:] if control.kwargs["visible"]]
    tips = [control.kwargs["tooltip"] for control in shown]
    assert all(len(tip.split()) > 5 and tip.endswith(".") for tip in tips)
    assert len(set(tips)) == len(tips)


def test_no_number_box_has_a_limit_by_which_gradio_would_stop_the_whole_page(script):
    boxes = [control for control in script.controls if type(control).__name__ == "Number"]
    assert boxes
    for control in boxes:
        assert not {"minimum", "maximum"} & set(control.kwargs), control.elem_id


def test_what_only_repeats_the_authors_code_is_an_argument_and_not_in_the_panel(script):
    from tome_ext.settings import declarations

    hidden = {s.name for s in declarations() if s.hidden}
    assert len(hidden) == 7
    for control, argument in zip(script.controls, options_module().arguments(), strict=True):
        if argument.name != "enabled":
            assert control.kwargs["visible"] == (argument.name not in hidden), argument.name


def test_the_second_pass_of_hires_fix_has_a_control_in_txt2img_alone(host):
    for is_img2img in (False, True):
        script = host.entry.ToMeScript()
        script.is_img2img = is_img2img
        controls = dict(zip(options_module().ORDER, script.ui(is_img2img), strict=True))
        assert controls["hires"].kwargs["visible"] == (not is_img2img)


def test_the_defaults_that_the_api_takes_from_the_controls_are_json_and_off(script):
    args = [c.value for c in script.controls]
    assert options_module().Options.from_args(json.loads(json.dumps(args))) == options_module().Options()


def test_every_class_of_the_style_sheet_is_given_to_a_component_that_is_shown(script):
    given = {
        name
        for c in Component.made
        if type(c).__name__ != "InputAccordion"
        for name in c.kwargs.get("elem_classes", [])
    }
    style = (Path(__file__).parents[4] / "style.css").read_text(encoding="utf-8")
    root = Path(__file__).parents[4]
    sources = [*(root / "tome_ext" / "hosts" / "webui" / "ui").glob("*.py"), *(root / "javascript").glob("*.js")]
    made = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    made = re.sub(r"tome-\{(kind|part)\}", "tome-noun", made)
    for name in set(re.findall(r"\.(tome-[a-z-]+)", style)):
        assert name in given or re.search(rf"\b{name}\b", made), name


def test_ui_can_be_called_again_for_the_api(script):
    again = script.ui(False)
    assert [(c.elem_id, c.value) for c in again] == [(c.elem_id, c.value) for c in script.controls]
    # Only the page's own controls listen to the page's prompt.
    clicks = [one for c in Component.made for one in events(c, "click")]
    listening = [one for one in clicks if any(c.elem_id == "txt2img_prompt" for c in one["inputs"])]
    assert len(listening) == 1


def test_both_tabs_have_ids_of_their_own(host):
    tabs = []
    for is_img2img in (False, True):
        script = host.entry.ToMeScript()
        script.is_img2img = is_img2img
        tabs.append({c.elem_id for c in script.ui(is_img2img)})
    assert not tabs[0] & tabs[1]


def test_choosing_a_preset_fills_the_controls(script):
    from tome_ext.settings import preset

    by_name = dict(zip((a.name for a in options_module().arguments()), script.controls, strict=True))
    (event,) = events(by_name["preset"], "input")
    values = event["fn"]("reference")
    shown = dict(zip([c.elem_id for c in event["outputs"]], values, strict=True))
    for name, control in by_name.items():
        if control in event["outputs"]:
            assert shown[control.elem_id]["value"] == getattr(preset("reference"), name)
    assert by_name["iterations"] in event["outputs"]
    assert by_name["groups"] not in event["outputs"]


def clicked(script, name, **values):
    """What a click on a button of the panel gives, with these values in the controls."""
    (button,) = [c for c in Component.made if (c.elem_id or "").endswith(f"_{name}")][-1:]
    (event,) = events(button, "click")
    given = {c.elem_id.rpartition("semantic_binding_")[2]: c.value for c in event["inputs"]}
    given |= {key: value for key, value in values.items() if key in given}
    return event["fn"](*given.values())


def test_the_line_about_the_cost_is_that_of_the_values_and_of_the_tab(script):
    assert "<b>1.08</b>" in clicked(script, "status_button", txt2img_steps=30, txt2img_cfg_scale=7)
    assert "<b>1.17</b>" in clicked(script, "status_button", txt2img_steps=30, txt2img_cfg_scale=1)
    one = clicked(script, "status_button", txt2img_steps=1, txt2img_cfg_scale=7)
    assert "steps:</span> 1 " in one
    assert "<b>1.85</b>" in one
    assert "No pass through the network" in clicked(script, "status_button", iterations=0)
    assert "Strength 0" in clicked(script, "status_button", strength=0)
    wrong = clicked(script, "status_button", window_start=0.9)
    assert "Refine from = 0.9: must not be greater than Refine until = 0.2" in wrong


def test_the_cost_is_that_of_the_objects_in_the_prompt(script):
    two = clicked(script, "preview", txt2img_prompt="a red cat and a blue dog")[1]
    one = clicked(script, "preview", txt2img_prompt="a red cat and a dog", min_objects=1)[1]
    none = clicked(script, "preview", txt2img_prompt="a landscape")[1]
    assert "objects:</span> 2" in two
    assert "objects:</span> 1" in one
    assert "No pass through the network" in none


def test_choosing_custom_changes_nothing(script):
    (event,) = events(script.controls[1], "input")
    assert event["fn"]("custom")
    assert all("value" not in update for update in event["fn"]("custom"))


def test_changing_a_control_shows_custom_at_once_and_words_do_not(script):
    by_name = dict(zip((a.name for a in options_module().arguments()), script.controls, strict=True))
    for name, control in by_name.items():
        changes = [e for e in events(control, "input") if e["outputs"] == [by_name["preset"]]]
        decided = options_module().in_preset(options_module().argument(name))
        assert bool(changes) == decided, name
        if decided:
            assert changes[0]["fn"] is None
            assert changes[0]["_js"] == "() => 'custom'"


def test_the_preview_reads_the_tab_s_prompt_with_its_styles(script):
    html, _ = clicked(script, "preview", txt2img_prompt="a red cat", txt2img_styles=["park", "oil"])
    assert "in a park, oil painting" in re.sub("<[^>]*>", "", html)
    assert "Clean prompt:" in html


def test_off_imports_nothing_and_touches_nothing(script):
    p = Processing()
    script.process(p, *[c.value for c in script.controls])
    script.process_before_every_sampling(p, x=None, noise=None, c=None, uc=None)
    script.postprocess(p, None)
    assert "tome_ext.hosts.webui.sampling.job" not in sys.modules
    assert vars(p).keys() == vars(Processing()).keys()
    assert p.extra_generation_params == {}
    assert p.comments == []


def test_on_starts_a_job_with_the_options_and_writes_the_infotext(script, generation):
    p = Processing()
    script.process(p, True, {"preset": "paper", "iterations": 7})
    (options,) = generation.started
    assert options.settings.iterations == 7
    assert p.extra_generation_params["ToMe"] == "paper"
    assert p.extra_generation_params["ToMe changes"] == "iterations=7"
    script.before_process_batch(p, batch_number=0, prompts=[])
    script.process_before_every_sampling(p, x=1, noise=2, c=3, uc=4)
    script.postprocess(p, None)
    assert p.job.calls == ["before_batch", "before_sampling", "finish"]


def test_a_p_used_again_without_tome_keeps_nothing(script, generation):
    p = Processing()
    script.process(p, True)
    script.process(p, False)
    assert p.extra_generation_params == {}
    assert generation.stopped == [p]


def test_a_cell_of_a_grid_does_not_inherit_the_infotext_of_the_one_before(script, generation):
    first, second = Processing(), Processing()
    second.extra_generation_params = first.extra_generation_params  # copy(p) is shallow
    script.process(first, True, {"groups": "cat: red"})
    script.process(second, False)
    assert "ToMe groups" in first.extra_generation_params
    assert second.extra_generation_params == {}


@pytest.mark.parametrize("args", [[True, "nope"], [True, {"iterations": 99}], [7], [False, "fast", "often"]])
def test_wrong_arguments_make_a_plain_image_that_says_so(script, generation, args):
    p = Processing()
    script.process(p, *args)
    assert generation.started == []
    assert "must be" in p.comments[0]
    assert "must be" in p.extra_generation_params["ToMe failure"]


def test_an_error_at_the_start_makes_a_plain_image_that_says_so(script, generation, capsys):
    generation.error = RuntimeError("the cable came out")
    p = Processing()
    script.process(p, True)
    assert p.comments == ["ToMe was not used: RuntimeError: the cable came out"]
    assert p.extra_generation_params == {"ToMe failure": "RuntimeError: the cable came out"}
    assert "Traceback" in capsys.readouterr().err


def test_entries_that_cannot_be_made_leave_no_job(script, generation, monkeypatch, host):
    module = sys.modules["tome_ext.hosts.webui.ui.script"]
    monkeypatch.setattr(module, "entries", lambda options: 1 / 0)
    p = Processing()
    script.process(p, True)
    assert generation.started == []
    assert list(p.extra_generation_params) == ["ToMe failure"]


def test_a_callback_that_fails_ends_the_job(script, generation):
    p = Processing()
    script.process(p, True)
    p.job.before_sampling = lambda *_: 1 / 0
    script.process_before_every_sampling(p, c=None)
    assert generation.stopped == [p]
    assert p.extra_generation_params == {"ToMe failure": "ZeroDivisionError: division by zero"}


def test_a_failure_after_a_model_call_does_not_reach_the_host(host, generation, capsys):
    generation.on_denoised = lambda params: 1 / 0
    (callback,) = host.callbacks.registered["on_cfg_denoised"]
    callback(types.SimpleNamespace())
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_an_interrupt_is_not_an_error(script, generation):
    class InterruptedException(BaseException):
        pass

    p = Processing()
    script.process(p, True)
    p.job.before_sampling = lambda *_: (_ for _ in ()).throw(InterruptedException)
    with pytest.raises(InterruptedException):
        script.process_before_every_sampling(p, c=None)


def test_loading_the_script_again_adds_no_second_axis(host):
    plot = host.fakes["modules.scripts"].scripts_data[0].module
    labels = [option.label for option in plot.axis_options]
    host.load()
    assert [option.label for option in plot.axis_options] == labels
    assert sum(label.startswith("[ToMe]") for label in labels) > 20


def test_one_callback_for_each_of_the_host_s_events(host):
    registered = host.callbacks.registered
    assert {name: len(found) for name, found in registered.items()} == {
        "on_cfg_denoiser": 1,
        "on_cfg_denoised": 1,
        "on_before_ui": 2,
        "on_app_started": 1,
        "on_ui_settings": 1,
    }


def test_the_model_call_s_callback_does_nothing_without_a_job(host):
    (callback,) = host.callbacks.registered["on_cfg_denoiser"]
    callback(types.SimpleNamespace())  # not even a denoiser
    assert "tome_ext.hosts.webui.sampling.job" not in sys.modules
