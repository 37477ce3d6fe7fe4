"""Tags in the prompts of a job, from the host's callbacks to what each image gets."""

from __future__ import annotations

import sys
import types

import pytest

from tests.hosts.webui.ui.standins import Processing

PROMPT = "a red cat and a blue dog"


def job(*prompts, second=(), iteration=0):
    """A host's ``p`` before a batch with these prompts."""
    p = Processing()
    p.iteration = iteration
    p.prompts, p.all_prompts = list(prompts), list(prompts)
    p.enable_hr, p.all_hr_prompts = bool(second), list(second)
    p.main_prompt = prompts[0]
    return p


def begin(script, p, *args):
    script.process(p, *args)
    script.before_process_batch(p, *args, batch_number=p.iteration, prompts=p.prompts)
    return p


def first(p):
    return p.job.batches[-1].first


def test_a_tag_switches_tome_on_where_the_panel_is_off(script, generation):
    p = begin(script, job(f"{PROMPT} <tome:paper>"), False)
    (own,) = first(p)
    assert own.settings.iterations == 4
    assert "ToMe" not in p.extra_generation_params, "what counts stands in the prompt"
    assert "ToMe version" in p.extra_generation_params


def test_without_a_tag_and_with_the_panel_off_nothing_begins(script, generation):
    p = begin(script, job(PROMPT, f"{PROMPT} <lora:x:1>"), False)
    assert generation.started == []
    assert p.extra_generation_params == {}


def test_each_image_of_a_batch_is_read_on_its_own(script, generation):
    prompts = [PROMPT, f"{PROMPT} <tome:off>", f"{PROMPT} <tome:cat: blue; dog: red>", f"{PROMPT}<tome:strength=0.5>"]
    p = begin(script, job(*prompts), True, {"preset": "paper", "groups": "cat: red"})
    plain, off, groups, weak = first(p)
    assert off is None
    assert (plain.settings.groups, groups.settings.groups) == ("cat: red", "cat: blue; dog: red")
    assert weak.settings == plain.settings.replace(strength=0.5)
    assert p.extra_generation_params["ToMe"] == "paper"


def test_a_tag_without_a_colon_is_spelt_out_for_the_host_everywhere(script, generation):
    p = begin(script, job("a cat<tome>", second=["a cat<tome>"]), False)
    assert p.prompts == p.all_prompts == p.all_hr_prompts == ["a cat<tome:on>"]
    assert p.main_prompt == "a cat<tome:on>"


def test_the_second_pass_has_the_tag_of_its_own_prompt_or_that_of_the_first(script, generation):
    p = begin(script, job(f"{PROMPT}<tome:paper>", second=[PROMPT]), False)
    assert p.job.batches[-1].second == first(p)
    p = begin(script, job(f"{PROMPT}<tome:paper>", second=[f"{PROMPT}<tome:off>"]), False)
    assert p.job.batches[-1].second == [None]
    assert first(p)[0] is not None


def test_a_later_batch_looks_at_its_own_hires_prompts(script, generation):
    p = job(PROMPT, second=[f"{PROMPT}<tome:off>", f"{PROMPT}<tome:paper>"], iteration=1)
    begin(script, p, True)
    assert p.job.batches[-1].second[0].settings.iterations == 4


@pytest.mark.parametrize(
    ("tag", "says"),
    [
        ("<tome:nonsense>", "must be on, off"),
        ("<tome:iterations=99>", "a whole number from 0 to 20"),
        ("<tome:iteration=9>", "did you mean 'iterations'"),
        ("<tome:cat::>", "expected"),
        ("<tome:show_maps=true>", "cannot be set in a prompt"),
        ("<tome:window_start=0.9>", "must not be greater"),
    ],
)
@pytest.mark.parametrize("panel", [False, True])
def test_a_wrong_tag_is_a_comment_and_the_image_has_what_the_panel_says(script, generation, tag, says, panel):
    p = begin(script, job(f"{PROMPT} {tag}"), panel)
    assert says in p.comments[0]
    assert says in p.extra_generation_params["ToMe failure"]
    if panel:
        assert first(p)[0].settings == generation.started[0].settings
    else:
        assert generation.started == []


def test_a_wrong_tag_in_one_batch_is_not_in_the_infotext_of_the_next(script, generation):
    p = begin(script, job(f"{PROMPT}<tome:nonsense>"), False)
    p.prompts = p.all_prompts = [PROMPT]
    script.before_process_batch(p, False, batch_number=1, prompts=p.prompts)
    assert "ToMe failure" not in p.extra_generation_params


def test_the_same_by_tag_by_panel_and_by_request(script, generation):
    from tome_ext.hosts.webui.ui.options import Options

    by_tag = first(begin(script, job(f"{PROMPT}<tome:paper; every=2; cat: blue>"), False))[0]
    by_request = Options.from_args([True, {"preset": "paper", "every": 2, "groups": "cat: blue"}])
    by_panel = Options.from_args(by_request.to_args())
    assert by_tag == by_request == by_panel


def test_the_host_knows_the_tag_and_what_it_activates_does_nothing(host, monkeypatch):
    registered = {}

    class ExtraNetwork:
        def __init__(self, name):
            self.name = name

    module = types.ModuleType("modules.extra_networks")
    module.ExtraNetwork = ExtraNetwork
    module.extra_network_registry = registered
    module.register_extra_network = lambda network: registered.__setitem__(network.name, network)
    monkeypatch.setitem(sys.modules, "modules.extra_networks", module)
    monkeypatch.setattr(sys.modules["modules"], "extra_networks", module, raising=False)
    for callback in host.callbacks.registered["on_before_ui"]:
        callback()
        callback()
    assert list(registered) == ["tome"]
    p = Processing()
    registered["tome"].activate(p, [])
    registered["tome"].deactivate(p)
    assert vars(p).keys() == vars(Processing()).keys()
