"""Forge's host without Forge: the modules it imports and the way it samples are stand-ins after what was read there."""

from __future__ import annotations

import importlib
import sys
import types
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from tests.ldm_unet import LdmUNet
from tome_ext.method.window import noise_place

OURS = [f"tome_ext.hosts.webui.backends.{name}" for name in ("a1111", "a1111_text", "forge", "reforge")]


class Interrupted(Exception):
    pass


class DictWithShape(dict):
    """What has to stay in ``text_cond`` for SDXL."""


class Wrapped(nn.Module):
    """The host's model around the UNet."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.diffusion_model, self.seen = unet, []

    def apply_model(self, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options=None, **more):
        self.seen.append({"x": x, "c_concat": c_concat, "options": transformer_options, "control": control, **more})
        sigma = t[:, None, None, None]
        noise = self.diffusion_model(x / (1 + sigma**2).sqrt(), c_crossattn)
        return x - sigma * (noise + (0 if control is None else control["middle"][0]))


class Patcher:
    def __init__(self, unet):
        self.model = Wrapped(unet)
        self.model_options = {"transformer_options": {"patches": "of others"}}
        self.controlnet_linked_list = self.extra_concat_condition = None
        self.load_device = torch.device("cpu")


class Engine:
    """A text encoder of Forge: it notes what it meets, and all it returns are inference tensors."""

    def __init__(self, notes):
        self.notes = notes

    def tokenize_line(self, text):
        return [types.SimpleNamespace(tokens=[49406, 1, 49407])], 1

    def tokenize(self, texts):
        return [[1]]


@pytest.fixture
def host(monkeypatch):
    """The stand-ins: ``objects`` holds the patcher, ``params`` a call for two images, of which the second has AND."""
    with torch.inference_mode():
        torch.manual_seed(0)
        patcher = Patcher(LdmUNet(in_place=True).double())
    objects = types.SimpleNamespace(unet=patcher)
    noted = types.ModuleType("backend.text_processing.classic_engine")
    noted.last_extra_generation_params = {"Emphasis": "theirs"}
    model = types.SimpleNamespace(forge_objects=objects, cond_stage_model=None, text_processing_engine=Engine(noted))

    @torch.inference_mode()
    def encode(texts):
        noted.last_extra_generation_params["TI"] = "ours"
        return torch.ones(len(texts), 77, 24)

    model.get_learned_conditioning = encode
    names = ("devices", "errors", "prompt_parser", "sd_samplers", "sd_samplers_common", "sd_unet", "shared")
    names += ("sd_samplers_kdiffusion",)
    fakes = {f"modules.{name}": types.ModuleType(f"modules.{name}") for name in (*names, "sd_hijack")}
    fakes["modules.shared"].sd_model = model
    fakes["modules.shared"].state = types.SimpleNamespace(interrupted=False, skipped=False)
    fakes["modules.sd_samplers_common"].InterruptedException = Interrupted
    fakes["modules.sd_hijack"].model_hijack = object()
    fakes["modules.prompt_parser"].SdConditioning = lambda texts, negative, width, height: texts
    fakes["modules"] = types.ModuleType("modules")
    fakes[noted.__name__] = noted
    for name, module in fakes.items():
        monkeypatch.setitem(sys.modules, name, module)
        if name.count(".") == 1 and name.startswith("modules."):
            setattr(fakes["modules"], name.rsplit(".", 1)[1], module)
    for name in OURS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    forge = importlib.import_module("tome_ext.hosts.webui.backends.forge")

    with torch.inference_mode():
        text = torch.randn(3, 5, 24, dtype=torch.float64)
        params = types.SimpleNamespace(
            x=torch.randn(2, 4, 6, 6, dtype=torch.float64) * 3,
            sigma=torch.tensor([2.0, 3.0], dtype=torch.float64),
            image_cond=torch.zeros(2, 5, 1, 1),
            text_cond=text,
            text_uncond=torch.randn(2, 5, 24, dtype=torch.float64),
            denoiser=types.SimpleNamespace(
                step=1,
                total_steps=10,
                sampler=types.SimpleNamespace(sampler_extra_args={"cond": object(), "cond_scale": 7.0}),
                p=types.SimpleNamespace(is_hr_pass=False, hr_cfg=3.0),
            ),
        )
    yield types.SimpleNamespace(
        host=forge.Forge(), model=model, objects=objects, patcher=patcher, params=params, noted=noted, fakes=fakes
    )
    for name in OURS:
        sys.modules.pop(name, None)


def sample(host, fail: bool = False):
    """As the host goes on after its callback; the text is not looked at."""
    patcher, params = host.objects.unet, host.params
    options, x, text = patcher.model_options, params.x, params.text_cond[:2]
    for modify in options.get("conditioning_modifiers", []):
        _, x, *_ = modify(patcher.model, x, params.sigma, None, None, 7.0, options, 1)
    if fail:
        raise RuntimeError("within the model")
    denoised = patcher.model.apply_model(x, params.sigma, c_crossattn=text, transformer_options={})
    for after in options.get("sampler_post_cfg_function", []):
        denoised = after({"denoised": denoised, "input": x, "sigma": params.sigma, "model": patcher.model})
    return denoised


def ordinary():
    from tome_ext.method.backward.autograd import ordinary

    return ordinary()


def test_a_transformer_in_the_patcher_is_no_unet(host):
    assert host.host.unet() is host.patcher.model.diffusion_model
    host.patcher.model.diffusion_model = nn.TransformerEncoderLayer(8, 2)
    assert host.host.unet() is None
    assert host.host.refinement_obstacle() == ""


def test_noise_is_predicted_for_the_latents_as_the_unet_sees_them(host):
    with torch.inference_mode(), ordinary():
        call = host.host.call(host.params)
        step = call.step(2, 1, None)
        assert torch.allclose(step.latents, host.params.x[1:2] / 10**0.5)
        assert (step.sigma, step.index, step.total, step.guidance) == (3.0, 1, 10, 7.0)
        assert torch.equal(step.null, host.params.text_uncond[1:2])
        noise = step.predict(step.latents, call.context[2:3], [0])
        expected = host.patcher.model.diffusion_model(step.latents, call.context[2:3])
    torch.testing.assert_close(noise, expected.float(), rtol=1e-5, atol=1e-5)
    assert torch.equal(call.context, host.params.text_cond)
    assert not any(one.is_inference() for one in (call.context, step.latents, step.null, noise))


def test_the_second_pass_has_its_own_guidance(host):
    host.params.denoiser.p.is_hr_pass = True
    assert host.host.call(host.params).step(0, 0, None).guidance == 3.0


def test_at_cfg_1_there_is_no_negative_text(host):
    host.params.text_uncond = None
    assert host.host.call(host.params).step(0, 0, None).null is None


def test_tokens_are_refined_in_inference_mode_and_nothing_stays(host):
    from tome_ext.method.refine import refine
    from tome_ext.method.state import Tokens
    from tome_ext.settings import preset

    unet = host.patcher.model.diffusion_model
    tensors = {name: id(value) for name, value in unet.named_parameters()}
    settings = preset("paper").replace(layers="*", iterations=2)
    with torch.inference_mode():
        with ordinary():
            call = host.host.call(host.params)
            tokens = Tokens(call.context[:1], (0,), (2,), call.context[:1, :4].clone(), ((1, 2, 3),))
            with host.host.gradient():
                refined, _, report = refine(call.step(0, 0, None), tokens, settings)
        assert torch.is_inference_mode_enabled()
    assert len(report.entropy) == 2
    assert not torch.equal(refined.context[0, 2], tokens.context[0, 2])
    assert torch.equal(refined.context[0, 3], tokens.context[0, 3])
    assert {name: id(value) for name, value in unet.named_parameters()} == tensors
    assert all(value.is_inference() and value.requires_grad for value in unet.parameters())


def test_attention_maps_need_no_gradient_and_change_nothing(host):
    from tome_ext.hosts.common.maps import heat_maps
    from tome_ext.method.state import Tokens

    group = types.SimpleNamespace(
        noun=[(0, 2)],
        group=types.SimpleNamespace(related=(), extra=(), name="", noun=types.SimpleNamespace(text="cat")),
    )
    unet = host.patcher.model.diffusion_model
    tensors = {name: id(value) for name, value in unet.named_parameters()}
    with torch.inference_mode(), host.host.ordinary_tensors():
        call = host.host.call(host.params)
        tokens = Tokens(call.context[:1] + 1, (0,), (2,), call.context[:1, :4].clone(), ((1, 2, 3),))
        (found,) = heat_maps(call.step(0, 0, None), call.context[0], tokens, [group], "*")
    assert found.plain.shape == found.merged.shape == (6, 6)
    assert not torch.equal(found.plain, found.merged)
    assert {name: id(value) for name, value in unet.named_parameters()} == tensors


def test_a_unet_that_encoding_sent_away_is_brought_back(host):
    prepared = []
    host.fakes["modules.sd_samplers_kdiffusion"].sampling_prepare = lambda *given: prepared.append(given)
    assert host.host.call(host.params).context.shape == (3, 5, 24)
    assert not prepared
    host.patcher.load_device = torch.device("cuda:0")
    assert host.host.call(host.params).context.shape == (3, 5, 24)
    assert prepared == [(host.patcher, host.params.x)]


def test_interrupt_ends_a_prediction(host):
    step = host.host.call(host.params).step(0, 0, None)
    host.fakes["modules.shared"].state.skipped = True
    with pytest.raises(Interrupted):
        step.predict(step.latents, torch.zeros(1, 1, 24), [0])


def test_what_others_hang_on_the_model_is_active_and_stays_theirs(host):
    calls = []

    def wrapper(apply, call):
        calls.append(call["cond_or_uncond"])
        return apply(call["input"], call["timestep"], **call["c"])

    host.patcher.model_options["model_function_wrapper"] = wrapper
    with ordinary():
        step = host.host.call(host.params).step(0, 0, None)
        step.predict(step.latents.expand(2, -1, -1, -1), torch.zeros(2, 1, 24, dtype=torch.float64), [0, 0])
    seen = host.patcher.model.seen[-1]
    assert calls == [[0]]
    assert seen["options"]["patches"] == "of others"
    assert (seen["options"]["cond_or_uncond"], seen["options"]["cond_indices"]) == ([0], [0, 1])
    assert host.patcher.model_options["transformer_options"] == {"patches": "of others"}


def test_a_controlnet_adds_a_constant(host):
    class Control:
        previous_controlnet = None

        def __init__(self):
            with torch.inference_mode():
                self.weight = torch.ones(1, dtype=torch.float64)

        def get_control(self, x, t, cond, count):
            assert torch.is_inference_mode_enabled()
            return {"middle": [self.weight * cond["c_crossattn"].mean() * torch.ones_like(x)]}

    host.patcher.controlnet_linked_list = Control()
    leaf = torch.randn(1, 3, 24, dtype=torch.float64, requires_grad=True)
    with torch.inference_mode(), ordinary():
        step = host.host.call(host.params).step(0, 0, None)
        with host.host.gradient():
            noise = step.predict(step.latents, leaf, [0])
            (found,) = torch.autograd.grad(noise.square().sum(), leaf)
    assert found.abs().sum() > 0
    with torch.no_grad():
        plain = host.patcher.model.diffusion_model(step.latents, leaf)
    added = -leaf.detach().mean().float()  # to the noise, of which the stand-in takes x0
    torch.testing.assert_close(noise.detach() - plain.float(), -added.expand_as(noise), rtol=0, atol=1e-5)


def test_a_controlnet_s_residuals_may_be_added_in_place(host):
    """The hosts add them to hidden states that the UNet has kept for its output blocks, and autograd too."""

    def found():
        leaf = torch.linspace(-1, 1, 72, dtype=torch.float64).view(1, 3, 24).requires_grad_()
        with torch.inference_mode(), ordinary():
            step = host.host.call(host.params).step(0, 0, None)
            with host.host.gradient():
                return torch.autograd.grad(step.predict(step.latents, leaf, [0]).square().sum(), leaf)[0]

    class Control:
        previous_controlnet = None

        def get_control(self, x, t, cond, count):
            return {"middle": [torch.zeros_like(x)]}

    host.patcher.controlnet_linked_list = Control()
    expected = found()

    def changed(module, inputs, output):
        inputs[0].add_(1.0)

    resnet = host.patcher.model.diffusion_model.middle_block[0]
    resnet.register_forward_hook(changed)
    torch.testing.assert_close(found(), expected, rtol=0, atol=0)
    host.patcher.controlnet_linked_list = None
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        found()


def test_an_inpainting_model_sees_its_image(host):
    host.params.image_cond = torch.arange(2.0)[:, None, None, None].expand(2, 5, 6, 6)
    with ordinary():
        step = host.host.call(host.params).step(2, 1, None)
        step.predict(step.latents, torch.zeros(1, 1, 24, dtype=torch.float64), [0])
    assert torch.equal(host.patcher.model.seen[-1]["c_concat"], host.params.image_cond[1:2])


def test_moved_latents_move_the_prediction_alone(host):
    with torch.inference_mode():
        plain = sample(host)
        with ordinary():
            call = host.host.call(host.params)
            moved = call.step(0, 0, None).latents + 0.1
            call.change(call.context, None, {0: moved}, [0, 1, 1])
        given = host.params.x.clone()
        made = sample(host)
        x = given.clone()
        x[0] = moved[0] * 5**0.5
        elsewhere = host.patcher.model.apply_model(x, host.params.sigma, c_crossattn=host.params.text_cond[:2])
    assert host.objects.unet is host.patcher
    assert set(host.patcher.model_options) == {"transformer_options"}
    assert torch.equal(host.params.x, given)
    assert torch.equal(made[1], plain[1])
    noise = (given[0] - made[0]) / 2
    torch.testing.assert_close(noise, (x[0] - elsewhere[0]) / 2, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(made[0], plain[0])


def test_a_call_whose_latents_others_replaced_is_predicted_and_stepped_from_theirs(host):
    with torch.inference_mode():
        with ordinary():
            call = host.host.call(host.params)
            call.change(call.context, None, {0: call.step(0, 0, None).latents + 0.1}, [0, 1, 1])
        host.params.x = host.params.x * 0.5
        expected = host.patcher.model.apply_model(
            host.params.x, host.params.sigma, c_crossattn=host.params.text_cond[:2]
        )
        assert torch.equal(sample(host), expected)
    assert host.objects.unet is host.patcher


def test_after_a_failed_call_the_next_begins_with_the_host_s_own_patcher(host):
    def move():
        call = host.host.call(host.params)
        call.change(call.context, None, {0: call.step(0, 0, None).latents + 0.1}, [0, 1, 1])

    with torch.inference_mode():
        with ordinary():
            move()
        first = host.objects.unet
        with pytest.raises(RuntimeError, match="within the model"):
            sample(host, fail=True)
        with ordinary():
            move()
        assert first is not host.patcher
        assert host.objects.unet.stands_for is host.patcher
        sample(host)
    assert host.objects.unet is host.patcher


def test_sdxl_s_text_stays_the_host_s_kind(host):
    text = DictWithShape(crossattn=host.params.text_cond, vector=torch.zeros(3, 8))
    host.params.text_cond = text
    call = host.host.call(host.params)
    context, vector = call.context + 1, call.vector + 1
    call.change(context, vector, {}, [0, 1, 1])
    assert host.params.text_cond is text
    assert torch.equal(text["crossattn"], context)
    assert torch.equal(text["vector"], vector)


def test_texts_are_encoded_as_the_host_does_and_leave_no_note(host):
    p = types.SimpleNamespace(width=64, height=64)
    with torch.inference_mode(), ordinary():
        encoder = host.host.encoder(p, False)
        made = encoder.encode("a cat")
    assert not made.tokens.is_inference()
    assert made.tokens.shape == (77, 24)
    assert encoder.ids("x") == [1]
    assert host.noted.last_extra_generation_params == {"Emphasis": "theirs"}


def test_beside_forge_couple_nothing_is_refined(host):
    def of_others(q, k, v, options):
        return q, k, v

    def couples(q, k, v, options):
        return q, k, v

    couples.__module__ = "lib_couple.attention_couple"
    patches = {"attn2_patch": [of_others]}
    host.patcher.model_options["transformer_options"] = {"patches": patches}
    assert host.host.pass_obstacle() == ""
    patches["attn2_patch"].append(couples)
    assert "forge-couple gives each region a text of its own" in host.host.pass_obstacle()


def test_a_flow_matching_model_is_merged_only(host):
    """Its latents are (1 − σ)·x0 + σ·ε: what the UNet is given is not divided by √(1 + σ²)."""
    assert host.host.refinement_obstacle() == ""
    host.params.sigma = torch.tensor([0.5, 0.5])
    place = host.host.call(host.params).place
    model = host.patcher.model
    model.predictor = types.SimpleNamespace(calculate_input=lambda sigma, x: x / (sigma**2 + 1) ** 0.5)
    assert host.host.refinement_obstacle() == ""
    assert host.host.call(host.params).place == place
    model.predictor = types.SimpleNamespace(calculate_input=lambda sigma, x: x)
    assert "flow-matching" in host.host.refinement_obstacle()
    # As much noise as signal there, where it is a noise level of 1.
    assert place > host.host.call(host.params).place == noise_place(1.0)
    host.params.sigma = torch.tensor([1.0, 1.0])
    assert host.host.call(host.params).place == 0.0


@pytest.mark.parametrize(
    ("options", "copies"),
    [
        ({"sampling_sigmas": torch.ones(3), "count": 2}, False),
        ({"patches": {}, "patches_replace": {"attn1": {}}}, False),
        ({"patches": {"attn1_patch": [lambda *given: given]}}, True),
        ({"group_norm_wrapper": lambda *given: given}, True),
        ({}, False),
    ],
)
def test_only_others_functions_make_autograd_keep_copies(host, monkeypatch, options, copies):
    asked = []
    forge = sys.modules[type(host.host).__module__]
    monkeypatch.setattr(forge, "differentiable", lambda *_, changing: asked.append(changing) or nullcontext())
    host.patcher.model_options["transformer_options"] = options
    with host.host.gradient():
        pass
    assert asked == [copies]


def test_a_compiled_unet_runs_as_it_was_written_in_our_passes(host):
    """What the compiler has traced knows nothing of hooks that come later."""
    layer = nn.Linear(2, 2)
    compiled = torch.compile(layer, backend="eager")
    host.patcher.model.diffusion_model = compiled
    seen = []
    with torch.no_grad():
        compiled(torch.ones(1, 2))
        layer.register_forward_hook(lambda *_: seen.append("hook"))
        with host.host.ordinary_tensors():
            compiled(torch.ones(1, 2))
        assert seen == ["hook"]


def test_a_model_without_tokens_says_so(host):
    host.model.text_processing_engine = None
    with pytest.raises(LookupError, match="no tokens"):
        host.host.encoder(types.SimpleNamespace(width=64, height=64), False)
