"""ComfyUI's sampling with ToMe in it, on stand-ins for the host and the small SDXL UNet."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from tests.hosts.comfyui.modules import Interrupted, imported, interrupt
from tests.hosts.comfyui.standins import Clip, levels
from tests.models import sdxl_unet
from tome_ext.hosts.comfyui.bound import KEY, bind
from tome_ext.hosts.comfyui.report import RunReport
from tome_ext.hosts.comfyui.text import ClipEncoder, conditionings
from tome_ext.hosts.common.text import encode_prompt
from tome_ext.method.refine import refine
from tome_ext.method.state import Step
from tome_ext.settings import preset

TEXT = "a red cat and a blue dog"
SIGMAS = levels(10)
SETTINGS = preset("balanced").replace(parser="builtin", ets="on", window_stop=0.2, every=1)


class Attention:
    """ComfyUI's CONDCrossAttn."""

    def __init__(self, cond):
        self.cond = cond


class Host:
    """A sampler node of ComfyUI, one model call after the other. ``given``: what each call was given."""

    def __init__(self):
        self.unet = sdxl_unet().requires_grad_(True)
        self.model = SimpleNamespace(
            diffusion_model=self.unet,
            apply_model=self.apply_model,
            model_sampling=SimpleNamespace(calculate_input=lambda sigma, x: x / (sigma**2 + 1) ** 0.5, sigma_data=1.0),
            current_patcher=SimpleNamespace(apply_hooks=lambda hooks: {}),
        )
        self.given, self.calls, self.fails = [], 0, None

    def apply_model(self, x, sigma, *, c_crossattn, transformer_options, **more):
        self.calls += 1
        if self.fails is not None and torch.is_grad_enabled():
            raise self.fails
        inside = x / (sigma.view(-1, 1, 1, 1) ** 2 + 1) ** 0.5
        step = torch.full((len(x),), 500.0)
        noise = self.unet(inside, step, encoder_hidden_states=c_crossattn, return_dict=False)[0]
        return x - noise * sigma.view(-1, 1, 1, 1)

    def run(self, refinement, positive, negative=(), *, sigmas=SIGMAS, latent=None, noise=1.0, images=1, times=1):
        """One run, as ComfyUI makes it: under inference mode, with each call made ``times``. Returns its latents."""
        x = torch.randn(images, 4, 16, 16, generator=torch.Generator().manual_seed(0)) if latent is None else latent

        def call(conds, x, sigma):
            def model_call(model, conds, x, timestep, options):
                self.given.append((conds, x))
                return [x * 0.5 for _ in conds]

            return refinement.calc_cond_batch(model_call, self.model, conds, x, sigma, {"transformer_options": {}})

        def sample(noise, latent_image, sampler, levels, **more):
            found = latent_image
            conds = [[dict(one) for one in positive], [dict(one) for one in negative] or None]
            for level in sigmas[:-1]:
                sigma = torch.full((images,), level)
                for _ in range(times):
                    model_call = Executor(partial(call, conds, latent_image, sigma), SimpleNamespace(cfg=4.0))
                    found = refinement.predict_noise(model_call)[0]
            return found

        with torch.inference_mode():
            x = x.clone()
            return refinement.outer_sample(sample, torch.ones_like(x) * noise, x, None, torch.tensor(sigmas))

    def contexts(self, group=0, entry=0):
        """The text of each call."""
        return [conds[group][entry]["model_conds"]["c_crossattn"].cond for conds, _ in self.given]


class Executor:
    def __init__(self, call, class_obj):
        self._call, self.class_obj = call, class_obj

    def __call__(self, *args, **more):
        return self._call(*args, **more)


@pytest.fixture
def sampling(monkeypatch):
    yield from imported(monkeypatch, "sampling", "call")
    interrupt.asked = False


def conditioning(settings=SETTINGS, text=TEXT, **more):
    """What the sampler has of a conditioning of ToMe Text Encode."""
    clip = Clip()
    with torch.inference_mode():
        entry = bind(
            conditionings(clip, text)[0], encode_prompt(ClipEncoder(clip), text, settings, refine=True), settings
        )
    return {**entry[1], "uuid": object(), "model_conds": {"c_crossattn": Attention(entry[0])}, **more}


def other(value=0.3, **more):
    tokens = torch.full((1, 77, 24), value)
    return {"uuid": object(), "model_conds": {"c_crossattn": Attention(tokens)}, **more}


def made(sampling, maps=False):
    report, told = RunReport(), []
    return sampling.Refinement(report, told.append, maps=maps), report, told


def test_tokens_move_in_the_window_and_stay_there(sampling):
    host, (refinement, report, _) = Host(), made(sampling)
    cond = conditioning()
    host.run(refinement, [cond], [other()])
    first, second, *rest = host.contexts()
    assert not torch.equal(first, cond[KEY].merged[None])
    assert not torch.equal(first, second)
    assert all(torch.equal(one, second) for one in rest)
    assert [step.step for step in report.entries[0].steps] == [0, 1]


def test_they_are_those_of_the_method_itself(sampling):
    host, (refinement, report, _) = Host(), made(sampling)
    cond = conditioning()
    host.run(refinement, [cond], sigmas=[14.6146, 0.0])
    unet = sdxl_unet().requires_grad_(False)
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0)) / (14.6146**2 + 1) ** 0.5

    def predict(latents, context, images):
        return unet(latents, torch.full((len(latents),), 500.0), encoder_hidden_states=context, return_dict=False)[0]

    bound = cond[KEY]
    tokens = bound.substituted(bound.tokens(bound.plain), bound.plain)
    expected, _, losses = refine(Step(unet, latents, predict, 0, 1, 14.6146, noise_place=0.0), tokens, SETTINGS)
    torch.testing.assert_close(host.contexts()[0], expected.context, rtol=1e-5, atol=1e-6)
    (own,) = report.entries[0].steps
    assert own.entropy[0] == pytest.approx(losses.entropy[0], rel=1e-5)


def test_all_else_goes_through_as_it_is(sampling):
    host, (refinement, _, told) = Host(), made(sampling)
    plain, negative = other(), other(0.1)
    host.run(refinement, [plain], [negative])
    assert all(conds[0][0]["model_conds"] is plain["model_conds"] for conds, _ in host.given)
    assert host.calls == 0
    assert told == ["nothing was refined"]


@pytest.mark.parametrize("change", [torch.zeros_like, lambda tokens: tokens * 0.5 + 0.1])
def test_a_changed_conditioning_is_left_alone_with_a_word(sampling, change):
    host, (refinement, _, told) = Host(), made(sampling)
    cond = conditioning()
    cond["model_conds"] = {"c_crossattn": Attention(change(cond["model_conds"]["c_crossattn"].cond))}
    host.run(refinement, [cond])
    assert host.calls == 0
    assert len(set(told)) == 1
    assert "averaged or zeroed" in told[0]


def test_what_an_area_copies_into_the_negative_conditioning_is_no_change(sampling):
    host, (refinement, _, told) = Host(), made(sampling)
    cond, negative = conditioning(), other()
    copied = {**cond, "model_conds": negative["model_conds"]}
    host.run(refinement, [cond], [negative, copied])
    assert told == ["2 steps refined"]
    assert all(torch.equal(one, negative["model_conds"]["c_crossattn"].cond) for one in host.contexts(1, 1))


def test_what_is_concatenated_behind_it_stays(sampling):
    host, (refinement, _, told) = Host(), made(sampling)
    cond = conditioning()
    behind = torch.full((1, 77, 24), 0.25)
    merged = cond["model_conds"]["c_crossattn"].cond
    cond["model_conds"] = {"c_crossattn": Attention(torch.cat([merged, behind], 1))}
    host.run(refinement, [cond])
    assert all(torch.equal(one[:, 77:], behind) for one in host.contexts())
    assert not torch.equal(host.contexts()[0][:, :77], merged)
    assert told == ["2 steps refined"]


@pytest.mark.parametrize("images", [1, 3])
def test_every_image_has_tokens_of_its_own(sampling, images):
    host, (refinement, report, _) = Host(), made(sampling)
    host.run(refinement, [conditioning()], images=images)
    assert [entry.image for entry in report.entries] == list(range(images))
    final = host.contexts()[-1]
    assert len(final) == images
    assert all(not torch.equal(final[0], row) for row in final[1:])


def test_a_range_of_steps_without_the_window_is_only_merged(sampling):
    host, (refinement, report, _) = Host(), made(sampling)
    cond = conditioning(timestep_start=5.0)
    host.run(refinement, [cond])
    assert report.entries[0].steps == []
    assert torch.allclose(host.contexts()[-1], cond[KEY].merged[None])


def test_an_area_is_refined_on_its_part_of_the_latents(sampling):
    host, (refinement, report, _) = Host(), made(sampling)
    shapes = []
    original = host.model.apply_model
    host.model.apply_model = lambda x, *rest, **more: (shapes.append(tuple(x.shape[2:])), original(x, *rest, **more))[1]
    host.run(refinement, [conditioning(area=(16, 8, 0, 8))])
    assert len(report.entries[0].steps) == 2
    assert set(shapes) == {(16, 8)}


def test_a_model_call_asked_twice_is_refined_once(sampling):
    """Guidance by perturbed attention calls the model again within one step; samplers call it again with a step."""
    host, (refinement, report, _) = Host(), made(sampling)
    host.run(refinement, [conditioning()], times=2)
    assert len(report.entries[0].steps) == 4
    run = sampling.Run(torch.zeros(1, 4, 16, 16), silent=False, sigmas=torch.tensor(SIGMAS))
    call = sampling.ModelCall(
        host.model, [[conditioning()]], torch.randn(1, 4, 16, 16), torch.tensor(SIGMAS[:1]), {"transformer_options": {}}
    )
    refinement._apply(run, call)
    before = host.calls
    refinement._apply(run, call)
    assert host.calls == before


def test_an_adaptive_sampler_is_refined_in_three_times_as_many_calls_as_steps_at_most(sampling):
    """It calls the model at one noise level again and again, while the text changes."""
    host, (refinement, report, _) = Host(), made(sampling)
    host.run(refinement, [conditioning()], sigmas=(*SIGMAS[:2], 0.0), times=9)
    assert len(host.given) == 18
    assert len(report.entries[0].steps) == 6


def test_halves_are_one_run(sampling):
    whole, (refinement, report, _) = Host(), made(sampling)
    whole.run(refinement, [conditioning()])
    host, (refinement, report, told) = Host(), made(sampling)
    cond = conditioning()
    left = host.run(refinement, [cond], sigmas=SIGMAS[:6])
    again = {**cond, "uuid": object()}
    host.run(refinement, [again], sigmas=SIGMAS[5:], latent=left, noise=0.0)
    for one, two in zip(host.contexts(), whole.contexts(), strict=True):
        torch.testing.assert_close(one, two)
    assert len(report.entries[0].steps) == 2
    assert told == ["2 steps refined", "2 steps refined"]


def test_other_latents_are_another_run(sampling):
    host, (refinement, _, told) = Host(), made(sampling)
    cond = conditioning()
    left = host.run(refinement, [cond], sigmas=SIGMAS[:6])
    host.run(refinement, [cond], sigmas=SIGMAS[5:], latent=left + 1, noise=0.0)
    assert torch.allclose(host.contexts()[-1], cond[KEY].merged[None])
    assert "no step is refined" in told[-1]


def test_what_is_told_last_is_of_the_last_run(sampling):
    host, (refinement, _, told) = Host(), made(sampling)
    cond = conditioning()
    host.run(refinement, [cond], sigmas=SIGMAS[5:])
    assert "no step is refined" in told[-1]
    host.run(refinement, [cond])
    assert told[-1] == "2 steps refined"


def test_a_failure_costs_the_refinement_alone(sampling):
    host, (refinement, _, told) = Host(), made(sampling)
    host.fails = RuntimeError("broken")
    cond = conditioning()
    host.run(refinement, [cond])
    assert len(host.given) == len(SIGMAS) - 1
    assert all(torch.allclose(one, cond[KEY].merged[None]) for one in host.contexts())
    assert [one for one in told if "refinement failed" in one and "broken" in one]


def test_a_failure_elsewhere_gives_the_host_its_own_conditionings(sampling, monkeypatch):
    host, (refinement, _, told) = Host(), made(sampling)
    monkeypatch.setattr(sampling.Refinement, "_row", lambda *_: 1 / 0)
    cond = conditioning()
    host.run(refinement, [cond])
    assert all(conds[0][0]["model_conds"] is cond["model_conds"] for conds, _ in host.given)
    assert any("sampled without it" in one for one in told)


def test_short_memory_is_tried_with_checkpointing_first(sampling):
    host, (refinement, _, told) = Host(), made(sampling)
    host.fails = MemoryError("out of memory")
    host.run(refinement, [conditioning()])
    assert any("for want of memory" in one for one in told)


@pytest.mark.parametrize("where", ["between", "within"])
def test_an_interrupt_is_the_hosts(sampling, where):
    host, (refinement, _, told) = Host(), made(sampling)
    if where == "between":
        interrupt.asked = True
    else:
        host.fails = Interrupted()
    with pytest.raises(Interrupted):
        host.run(refinement, [conditioning()])
    assert told == ["nothing was refined"]
    assert refinement._run is None


def test_an_error_of_the_host_is_not_swallowed(sampling):
    refinement, _, _ = made(sampling)

    def sample(*args, **more):
        raise KeyError("the host's own")

    with pytest.raises(KeyError):
        refinement.outer_sample(sample, torch.zeros(1), torch.zeros(1), None, torch.tensor(SIGMAS))
    assert refinement._run is None


def test_latents_of_the_authors_code_are_for_the_prediction_alone(sampling):
    """The model predicts at moved latents; the sampler's own step begins where it was."""
    settings = SETTINGS.replace(latent_step=0.5, descent="plain", step_size=1.0)
    host, (refinement, _, _) = Host(), made(sampling)
    host.run(refinement, [conditioning(settings)], sigmas=[14.6146, 0.0])
    ((_, moved),) = host.given
    x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(moved, x)


def test_weights_and_gradients_are_as_before(sampling):
    host, (refinement, _, _) = Host(), made(sampling)
    before = {name: value.clone() for name, value in host.unet.state_dict().items()}
    host.run(refinement, [conditioning()])
    assert all(torch.equal(value, before[name]) for name, value in host.unet.state_dict().items())
    assert all(one.requires_grad and one.grad is None for one in host.unet.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in host.unet.modules())


def test_maps_are_recorded_once_when_the_refinement_is_over(sampling):
    host, (refinement, report, _) = Host(), made(sampling, maps=True)
    host.run(refinement, [conditioning()])
    (entry,) = report.entries
    assert [heat.label for heat in entry.maps] == ["cat: red", "dog: blue"]
    assert report.maps_of(0) == entry.maps
    assert report.maps_of(1) == []


def test_the_report_tells_of_each_step(sampling):
    host, (refinement, report, _) = Host(), made(sampling)
    host.run(refinement, [conditioning()])
    lines = report.text().splitlines()
    assert lines[0] == "image 1: cat, dog"
    assert [line.split()[:3] for line in lines[1:] if "entropy" in line] == [
        ["step", "1:", "entropy"],
        ["step", "2:", "entropy"],
    ]


def test_context_windows_are_merged_alone(sampling):
    host, (refinement, _, told) = Host(), made(sampling)
    cond, seen = conditioning(), []
    refinement._run = sampling.Run(torch.zeros(1, 4, 16, 16), silent=False, sigmas=torch.tensor(SIGMAS))
    options = {"transformer_options": {}, "context_handler": object()}
    refinement.calc_cond_batch(
        lambda *given: seen.append(given) or [], host.model, [[cond]], torch.zeros(1, 4, 16, 16), torch.ones(1), options
    )
    assert seen[0][1] == [[cond]]
    assert "context windows" in told[0]


def test_the_refinement_has_the_guiders_scale(sampling, monkeypatch):
    host, (refinement, _, _), seen = Host(), made(sampling), []
    original = sampling.refine
    monkeypatch.setattr(sampling, "refine", lambda *given: seen.append(given[0].guidance) or original(*given))
    host.run(refinement, [conditioning()], [other()])
    assert seen == [4.0, 4.0]


@pytest.mark.parametrize("how", ["prompt", "zeros"])
def test_the_losses_see_the_pooled_vector_that_is_asked_for(sampling, how):
    """It stands in front of the sizes, which stay."""
    host, (refinement, _, told), seen = Host(), made(sampling), []
    original = host.model.apply_model

    def apply(*given, y, **more):
        seen.append(y)
        return original(*given, **more)

    host.model.apply_model = apply
    cond = conditioning(SETTINGS.replace(loss_pooled=how), pooled_output=torch.ones(1, 4))
    cond["model_conds"]["y"] = Attention(torch.ones(1, 10))
    host.run(refinement, [cond])
    assert told == ["2 steps refined"]
    assert {tuple(row) for y in seen for row in y.tolist()} == {((how == "prompt",) * 4) + (1.0,) * 6}


def test_maps_are_taken_of_the_tokens_that_refinement_leaves(sampling, monkeypatch):
    host, (refinement, _, _), taken = Host(), made(sampling, maps=True), []

    def heat_maps(step, plain, tokens, groups, layers):
        taken.append((step.index, tokens.context))
        return []

    monkeypatch.setattr(sampling, "heat_maps", heat_maps)
    host.run(refinement, [conditioning()])
    ((index, text),) = taken
    assert index == 2
    assert torch.equal(text, host.contexts()[-1])
