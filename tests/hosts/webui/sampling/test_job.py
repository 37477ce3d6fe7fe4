"""ToMe in a job, end to end, on stand-ins for the WebUI."""

from __future__ import annotations

import copy
import gc
import importlib
import itertools
import sys
import weakref
from dataclasses import replace

import pytest
import torch

from tests.hosts.webui.sampling import standins
from tests.hosts.webui.sampling.job import ENTRIES, Host, Options, Processing, gentle
from tome_ext.hosts.webui.sampling.asked import Batch

PROMPT = "a red cat and a blue dog"
# Matrix products of a batch differ from those of one row by roundings.
CLOSE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(params=["sd15", "sdxl"])
def host(request, monkeypatch):
    made = build(monkeypatch, sdxl=request.param == "sdxl")
    yield made
    forget()


@pytest.fixture
def sdxl(monkeypatch):
    yield build(monkeypatch, sdxl=True)
    forget()


def build(monkeypatch, **kind):
    forget()
    model = standins.Model(**kind)
    fakes = standins.modules(model)
    for name, module in fakes.items():
        monkeypatch.setitem(sys.modules, name, module)
    return Host(model, fakes)


def forget():
    """The host's file was read with the stand-ins in place."""
    for name in [name for name in sys.modules if name.startswith("tome_ext.hosts.webui.backends.a1111")]:
        del sys.modules[name]


def fast(**more):
    return Options(gentle("fast", **more))


def clean(model):
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
    own = [m for m in model.modules() if "forward" in vars(m)]
    return not hooks and not own and all(p.requires_grad for p in model.parameters())


def test_a_job_changes_the_image_and_leaves_nothing(host):
    plain = host.run(Processing([PROMPT])).latent
    made = host.run(Processing([PROMPT]), Options())
    assert made.comments == []
    assert not torch.equal(made.latent, plain)
    assert torch.equal(host.run(Processing([PROMPT])).latent, plain)
    assert clean(host.model)


def test_the_same_job_twice_is_the_same(host):
    one, two = (host.run(Processing([PROMPT]), Options()).latent for _ in range(2))
    assert torch.equal(one, two)


def test_the_conditioning_that_the_host_caches_is_not_touched(host):
    p = Processing([PROMPT, "a green bird"])
    cond = host.condition(p)
    before = copy.deepcopy(cond)
    host.run(p, Options(gentle("paper")), cond=cond)
    for now, then in zip(cond, before, strict=True):
        for step in range(10):
            one, two = standins.stacked_plain(now, step), standins.stacked_plain(then, step)
            pairs = [(one, two)] if isinstance(one, torch.Tensor) else [(one[k], two[k]) for k in one]
            assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("timesteps", [False, True])
def test_an_image_does_not_depend_on_its_batch(host, timesteps):
    settings = gentle("paper")
    prompts = ["a green bird wearing a hat", "something", PROMPT]
    third = host.run(Processing(prompts), Options(settings), timesteps=timesteps).latent[2]
    alone = host.run(Processing([PROMPT], seeds=[3]), Options(settings), timesteps=timesteps).latent[0]
    torch.testing.assert_close(third, alone, **CLOSE)


def test_a_shorter_prompt_of_a_batch_repeats_its_own_last_vector(host):
    long = "best quality, " * 40 + PROMPT
    texts = host.run(Processing([PROMPT, long]), fast()).texts()[0]
    alone = host.run(Processing([PROMPT]), fast()).texts()[0][0]
    assert texts.shape[1] > 77
    assert torch.equal(texts[0, :77], alone)
    assert torch.equal(texts[0, 77:], alone[-1:].expand(texts.shape[1] - 77, -1))


def test_noise_is_predicted_alike_from_levels_and_timesteps(host):
    """The same latents, at the same level, as each kind of sampler has them."""
    from tome_ext.hosts.webui.backends.a1111 import SigmaCall, TimestepCall

    p = Processing([PROMPT])
    cond, uncond = host.condition(p)
    found = []
    for timesteps, kind in ((False, SigmaCall), (True, TimestepCall)):
        denoiser = standins.Denoiser(p, host.model, timesteps, None)
        denoiser.sampler.sampler_extra_args = {"cond": cond, "uncond": uncond, "cond_scale": 1.0}
        kept = host.model.alphas_cumprod[400]
        level = ((1 - kept) / kept).sqrt()
        latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
        params = type("Params", (), {})()
        params.x = latents if timesteps else latents * (1 + level**2).sqrt()
        params.sigma = torch.tensor([400]) if timesteps else level[None]
        params.text_cond, params.text_uncond = standins.stacked_plain(cond, 0), standins.stacked_plain(uncond, 0)
        params.image_cond, params.denoiser = torch.zeros(1, 5, 1, 1), denoiser
        call = kind(params)
        step = call.step(0, 0, None if call.vector is None else call.vector[0])
        torch.testing.assert_close(step.latents, latents)
        assert step.sigma == pytest.approx(float(level), rel=1e-5)
        found.append(step.predict(step.latents.expand(2, -1, -1, -1), call.context.expand(2, -1, -1), [0, 0]))
        assert found[-1].shape == (2, 4, 8, 8)
    torch.testing.assert_close(*found, **CLOSE)


@pytest.mark.parametrize("timesteps", [False, True])
def test_gradients_agree_with_finite_differences(host, timesteps):
    p = Processing([PROMPT])
    seen = []

    def denoise(params):
        call = sys.modules["tome_ext.hosts.webui.backends.a1111"].A1111().call(params)
        seen.append((call, call.step(0, 0, None if call.vector is None else call.vector[0])))

    import tome_ext.hosts.webui.backends.a1111  # noqa: F401

    host.model.double()
    embedder = host.model.embedder[0]
    embedder.table, embedder.place = embedder.table.double(), embedder.place.double()
    cond, uncond = host.condition(p)
    denoiser = standins.Denoiser(p, host.model, timesteps, type("C", (), {"denoise": staticmethod(denoise)}))
    denoiser.callbacks.denoised = lambda params: None
    denoiser.sampler.sampler_extra_args = {"cond": cond, "uncond": uncond, "cond_scale": 1.0}
    denoiser.total_steps = 10
    x = torch.randn(1, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        denoiser(x, torch.tensor([400]) if timesteps else torch.tensor([2.5], dtype=torch.float64))
    call, step = seen[0]
    context = call.context.clone().requires_grad_()

    def loss(text):
        return step.predict(step.latents, text, [0]).square().sum()

    (gradient,) = torch.autograd.grad(loss(context), [context])
    direction = torch.randn(context.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        small = 1e-3
        slope = (loss(context + small * direction) - loss(context - small * direction)) / (2 * small)
    assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_kept(host, dtype):
    expected = host.run(Processing([PROMPT]), Options()).texts()
    host.model.model.to(dtype)
    embedder = host.model.embedder[0]
    embedder.table, embedder.place = embedder.table.to(dtype), embedder.place.to(dtype)
    made = host.run(Processing([PROMPT]), Options())
    assert made.comments == []
    assert {text.dtype for text in made.texts()} == {dtype}
    torch.testing.assert_close(made.texts()[-1].float(), expected[-1], atol=0.3, rtol=0.1)


def test_parts_have_groups_of_their_own(host):
    prompt = "a red cat AND a blue dog :0.5"
    text = host.run(Processing([prompt]), fast()).texts()[0]
    assert len(text) == 2
    for row, part in zip(text, ("a red cat ", " a blue dog"), strict=True):
        assert torch.equal(row, host.run(Processing([part]), fast()).texts()[0][0])


def test_each_scheduled_text_has_tokens_of_its_own(host):
    texts = host.run(Processing(["a [red:green:0.4] cat"]), fast()).texts()
    red, green = (host.run(Processing([prompt]), fast()).texts()[0] for prompt in ("a red cat", "a green cat"))
    for step, text in enumerate(texts):
        assert torch.equal(text, red if step <= 4 else green)


def test_a_text_that_comes_back_goes_on_from_its_own_tokens(host):
    settings = gentle(window_stop=1.0)
    texts = host.run(Processing(["a [red|green] cat"]), Options(settings)).texts()
    assert not torch.equal(texts[1], texts[2])
    changes = [float((a - b).abs().max()) for a, b in zip(texts[1::2], texts[3::2], strict=False)]
    across = float((texts[1] - texts[2]).abs().max())
    assert max(changes) < across


def test_end_tokens_are_substituted_from_their_start_on(host):
    late, never, always = (
        host.run(Processing([PROMPT]), fast(**how)).texts() for how in ({"ets_start": 0.5}, {"ets": "off"}, {})
    )
    for step in range(10):
        assert torch.equal(late[step], (always if step >= 5 else never)[step])


def test_refinement_keeps_to_its_window(host):
    settings = gentle(window_start=0.2, window_stop=0.5)
    texts = host.run(Processing([PROMPT]), Options(settings)).texts()
    moved = [not torch.equal(a, b) for a, b in itertools.pairwise(texts)]
    assert moved == [False, True, True, True, False, False, False, False, False]


@pytest.mark.parametrize("timesteps", [False, True])
def test_a_latent_step_is_for_one_prediction_only(host, timesteps, monkeypatch):
    """The sampler steps from its own latents, with the noise predicted at the moved ones."""
    from tome_ext.hosts.webui.sampling import sampling_pass

    shift = 0.25

    def moved(step, tokens, settings):
        from tome_ext.method.state import Report

        return tokens, step.latents + shift, Report(step.index)

    monkeypatch.setattr(sampling_pass, "refine", moved)
    run = host.run(Processing([PROMPT], steps=1), Options(gentle(latent_step=1.0)), timesteps=timesteps, scale=1.0)
    params = run.denoiser.seen[0]
    scale = 1.0 if timesteps else float((1 + params.sigma[0] ** 2) ** 0.5)
    noise = torch.stack([torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(1))])
    start = noise if timesteps else noise * float(params.sigma[0])
    torch.testing.assert_close(params.x, (start + shift * scale).expand(2, -1, -1, -1))
    out = run.denoiser._predict(params, params.text_cond, slice(0, 1))
    if timesteps:
        kept = run.denoiser.alphas[params.sigma[0]]
        x0 = (start - (1 - kept).sqrt() * out) / kept.sqrt()
        expected = 0.9999**0.5 * x0 + 0.0001**0.5 * out
    else:
        expected = start - (params.x[:1] - out)  # one step to σ = 0: x − σε
    torch.testing.assert_close(run.latent, expected.detach(), atol=1e-4, rtol=1e-4)
    assert not [name for name in vars(run.denoiser.inner_model) if "tome" in name]


def test_the_pooled_vector_is_kept_or_taken_from_the_clean_prompt(sdxl):
    p = Processing([PROMPT])
    own = standins.stacked_plain(sdxl.condition(p)[0], 0)["vector"]
    kept = sdxl.run(p, fast()).denoiser.seen[0].text_cond
    assert isinstance(kept, standins.DictWithShape)
    assert torch.equal(kept["vector"], own)
    clean_one = standins.stacked_plain(sdxl.condition(Processing(["a cat and a dog"]))[0], 0)["vector"]
    taken = sdxl.run(Processing([PROMPT]), fast(pooled="clean")).denoiser.seen[0].text_cond
    assert torch.equal(taken["vector"], clean_one)
    assert not torch.equal(own, clean_one)


def test_interruption_goes_through_within_one_pass(host):
    state = host.fakes["modules.shared"].state
    calls = []

    def watch(module, inputs):
        calls.append(state.interrupted)
        state.interrupted = state.interrupted or len(calls) == 3

    handle = host.model.model.diffusion_model.register_forward_pre_hook(watch)
    with pytest.raises(standins.InterruptedException):
        host.run(Processing([PROMPT]), Options(gentle("paper")))
    handle.remove()
    assert len(calls) == 3
    assert clean(host.model)


def test_a_failed_refinement_leaves_the_merged_image(host, monkeypatch):
    from tome_ext.hosts.webui.sampling import sampling_pass

    merged = host.run(Processing([PROMPT]), fast()).latent
    monkeypatch.setattr(sampling_pass, "refine", raising(ValueError("broken")))
    run = host.run(Processing([PROMPT]), Options())
    assert torch.equal(run.latent, merged)
    assert run.comments == ["ToMe: refinement failed: continuing without it (ValueError: broken)"]
    assert host.fakes["modules.errors"].reports == ["ToMe: refinement failed: continuing without it"]
    said = "refinement failed: continuing without it (ValueError: broken)"
    assert run.entries["ToMe failure"] == said


def test_weights_that_no_gradient_passes_through_are_said_and_no_failure(host, monkeypatch):
    from tome_ext.hosts.webui.sampling import sampling_pass
    from tome_ext.method.backward.quantised import NoGradient

    merged = host.run(Processing([PROMPT]), fast()).latent
    why = "the weights are quantised (weight is int8), and no gradient passes through them in Linear"
    monkeypatch.setattr(sampling_pass, "refine", raising(NoGradient(why)))
    run = host.run(Processing([PROMPT]), Options())
    assert torch.equal(run.latent, merged)
    assert run.comments == [f"ToMe: tokens are merged, not refined: {why}"]
    assert host.fakes["modules.errors"].reports == []
    assert run.entries["ToMe failure"] == f"tokens are merged, not refined: {why}"


def test_a_failed_refinement_is_not_tried_again_in_a_later_pass(host, monkeypatch):
    from tome_ext.hosts.webui.sampling import sampling_pass

    tried = []

    def refine(step, tokens, settings):
        tried.append(step.index)
        raise ValueError("broken")

    def next_pass(denoiser):
        denoiser.sampler.sampler_extra_args["cond"] = host.condition(denoiser.p)[0]

    monkeypatch.setattr(sampling_pass, "refine", refine)
    host.run(Processing([PROMPT]), Options(gentle(window_stop=1.0)), at=next_pass)
    assert tried == [0]


@pytest.mark.parametrize("what", ["encode_prompt", "compose"])
def test_a_failure_of_any_other_part_leaves_the_plain_image(host, monkeypatch, what):
    from tome_ext.hosts.webui.sampling import sampling_pass

    plain = host.run(Processing([PROMPT])).latent
    monkeypatch.setattr(sampling_pass, what, raising(KeyError("broken")))
    run = host.run(Processing([PROMPT]), Options())
    assert torch.equal(run.latent, plain)
    assert any("broken" in comment for comment in run.comments)
    assert host.fakes["modules.errors"].reports


def test_memory_is_made_by_checkpointing_then_by_doing_without(host, monkeypatch):
    from tome_ext.hosts.webui.sampling import sampling_pass

    real, asked = sampling_pass.refine, []
    enough = 1

    def refine(step, tokens, settings):
        asked.append((step.index, settings.checkpointing))
        if settings.checkpointing != "on" or step.index >= enough:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return real(step, tokens, settings)

    monkeypatch.setattr(sampling_pass, "refine", refine)
    run = host.run(Processing([PROMPT]), Options())
    assert asked == [(0, "auto"), (0, "on"), (1, "on")]
    assert run.comments == ["ToMe: out of memory: continuing without refinement"]
    assert "memory" in run.denoiser.p.extra_generation_params["ToMe failure"]
    assert clean(host.model)


def test_a_row_is_refined_once_when_a_later_one_fails(host, monkeypatch):
    from tome_ext.hosts.webui.sampling import sampling_pass

    real, failed = sampling_pass.refine, []

    def refine(step, tokens, settings):
        done = real(step, tokens, settings)
        if len(asked) == 1 and not failed:
            failed.append(True)
            raise torch.cuda.OutOfMemoryError
        asked.append(step.index)
        return done

    asked: list[int] = []
    expected = host.run(Processing([PROMPT, PROMPT]), Options()).latent
    monkeypatch.setattr(sampling_pass, "refine", refine)
    made = host.run(Processing([PROMPT, PROMPT]), Options()).latent
    assert failed
    assert asked == [0, 0, 1, 1]
    torch.testing.assert_close(made, expected, **CLOSE)


def test_memory_that_does_not_suffice_for_merging_is_said(host, monkeypatch):
    from tome_ext.hosts.webui.sampling import sampling_pass

    plain = host.run(Processing([PROMPT])).latent
    monkeypatch.setattr(sampling_pass, "compose", raising(RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")))
    run = host.run(Processing([PROMPT]), fast())
    assert torch.equal(run.latent, plain)
    assert run.comments == ["ToMe: out of memory: continuing without ToMe"]
    assert run.entries == {"ToMe failure": "out of memory: continuing without ToMe"}


@pytest.mark.parametrize("what", ["encode_prompt", "compose"])
def test_an_image_without_any_of_tome_has_the_failure_in_place_of_the_settings(host, monkeypatch, what):
    from tome_ext.hosts.webui.sampling import sampling_pass

    monkeypatch.setattr(sampling_pass, what, raising(KeyError(f"broken\n{'x' * 300}")))
    p = Processing([PROMPT])
    p.extra_generation_params["Of others"] = 1
    entries = host.run(p, fast()).entries
    assert list(entries) == ["Of others", "ToMe failure"]
    assert len(entries["ToMe failure"]) <= 201


def test_an_image_that_lacks_something_has_the_failure_beside_the_settings(host, monkeypatch):
    from tome_ext.hosts.webui.sampling import sampling_pass

    assert host.run(Processing([PROMPT]), Options()).entries == ENTRIES
    monkeypatch.setattr(sampling_pass, "refine", raising(ValueError("broken")))
    entries = host.run(Processing([PROMPT]), Options()).entries
    assert entries.pop("ToMe failure") == "refinement failed: continuing without it (ValueError: broken)"
    assert entries == ENTRIES


def test_a_failure_midway_is_beside_the_settings(host, monkeypatch):
    def spoil(denoiser):
        if denoiser.step == 5:
            monkeypatch.setattr(type(denoiser.p.job()._pass), "apply", raising(ValueError("broken")))

    p = Processing([PROMPT])
    p.job = lambda: p._tome_job
    entries = host.run(p, fast(), at=spoil).entries
    assert entries == {**ENTRIES, "ToMe failure": "failed: continuing without ToMe (ValueError: broken)"}


def test_a_latent_step_that_cannot_be_undone_is_said(host, monkeypatch):
    from tome_ext.hosts.webui.sampling import sampling_pass
    from tome_ext.method.state import Report

    def moved(step, tokens, settings):
        return tokens, step.latents + 0.25, Report(step.index)

    def smaller(params):
        params.x = params.x[..., :3]
        given(params)

    from tome_ext.hosts.webui.sampling import job as generation

    given = generation.on_denoised
    monkeypatch.setattr(sampling_pass, "refine", moved)
    monkeypatch.setattr(generation, "on_denoised", smaller)
    run = host.run(Processing([PROMPT]), Options(gentle(latent_step=1.0)))
    assert "the latent step could not be undone" in run.entries["ToMe failure"]
    assert run.entries["ToMe"] == "balanced"


def test_each_batch_is_tried_and_has_an_infotext_of_its_own(host, monkeypatch):
    from tome_ext.hosts.webui.sampling import sampling_pass

    real, broken = sampling_pass.encode_prompt, raising(ValueError("broken"))
    p, job, found = Processing([PROMPT]), None, []
    for number, encode_prompt in enumerate((real, broken, real)):
        monkeypatch.setattr(sampling_pass, "encode_prompt", encode_prompt)
        run = host.run(p, fast(), job=job, last=number == 2)
        job = run.job
        found.append(sorted(run.entries))
    assert found == [sorted(ENTRIES), ["ToMe failure"], sorted(ENTRIES)]
    assert len(run.comments) == 1


def test_groups_that_cannot_be_read_are_so_in_every_batch(host):
    p = Processing([PROMPT])
    first = host.run(p, Options(gentle(groups="cat: (")), last=False)
    second = host.run(p, job=first.job)
    assert list(first.entries) == list(second.entries) == ["ToMe failure"]
    assert second.entries == first.entries
    assert len(second.comments) == 1


def test_what_the_second_pass_cannot_do_the_first_passes_after_it_can(host, monkeypatch):
    from tome_ext.hosts.webui.sampling import sampling_pass

    real, asked = sampling_pass.refine, []
    p = Processing([PROMPT])

    def refine(step, tokens, settings):
        asked.append((p.is_hr_pass, step.index, settings.checkpointing))
        if p.is_hr_pass:
            raise torch.cuda.OutOfMemoryError
        return real(step, tokens, settings)

    monkeypatch.setattr(sampling_pass, "refine", refine)
    job, entries = None, []
    options = Options(gentle(window_stop=0.1), hires="refine")
    for _ in range(2):
        p.is_hr_pass = False
        job = host.run(p, options, job=job, last=False).job
        p.is_hr_pass = True
        entries.append(host.run(p, job=job, last=False).entries)
    assert asked == [(False, 0, "auto"), (True, 0, "auto"), (True, 0, "on"), (False, 0, "auto")]
    said = "out of memory: continuing without refinement"
    assert entries == [{**ENTRIES, "ToMe failure": said}] * 2


def test_a_batch_whose_sampling_is_not_announced_begins_with_tokens_of_its_own(host):
    """Scripts that sample in a way of their own, with a conditioning that the host kept."""
    settings = gentle(window_stop=1.0)
    p = Processing([PROMPT])
    cond = host.condition(p)
    first = host.run(p, Options(settings), cond=cond, told=False, last=False)
    second = host.run(p, job=first.job, cond=cond, told=False)
    assert torch.equal(second.latent, first.latent)


@pytest.mark.parametrize(
    ("module", "name", "value", "said"),
    [
        ("modules.sd_unet", "current_unet", object(), "TensorRT"),
        ("modules.devices", "fp8", True, "fp8"),
    ],
)
def test_what_lets_no_gradient_through_is_merged_only(host, monkeypatch, module, name, value, said):
    merged = host.run(Processing([PROMPT]), fast())
    assert merged.comments == []
    monkeypatch.setattr(host.fakes[module], name, value)
    run = host.run(Processing([PROMPT]), Options())
    assert torch.equal(run.latent, merged.latent)
    assert len(run.comments) == 1
    assert said in run.comments[0]
    assert said in run.entries["ToMe failure"]
    assert run.entries["ToMe"] == "balanced"


def test_regional_prompter_meets_no_pass_but_the_hosts(host):
    merged = host.run(Processing([PROMPT], steps=6), Options(gentle(iterations=0, binding_iterations=0))).latent
    scope = {"calls": []}
    source = "def wrap(given):\n    return lambda x, context=None: calls.append(1) or given(x, context)"
    exec(compile(source, "extensions/sd-webui-regional-prompter/scripts/attention.py", "exec"), scope)
    layer = host.model.model.diffusion_model.middle_block[1].transformer_blocks[0].attn2
    layer.forward = scope["wrap"](layer.forward)
    made = host.run(Processing([PROMPT], steps=6), Options(show_maps=True))
    why = "Regional Prompter gives each region a text of its own"
    assert made.comments == [f"ToMe: tokens are merged, not refined: {why}", f"ToMe: no attention maps: {why}"]
    assert torch.equal(made.latent, merged)
    assert len(scope["calls"]) == 2 * 6  # it counts them to tell positive from negative texts


def test_layers_that_see_a_part_of_the_text_end_refinement(host):
    for one in host.model.modules():
        if type(one).__name__ == "CrossAttention":
            own = one.forward
            one.forward = lambda x, context=None, own=own: own(x, None if context is None else context[:, -77:])
    made = host.run(Processing(["best quality, " * 40 + PROMPT]), Options())
    assert len(made.comments) == 1
    assert "another extension divides the text" in made.comments[0]


def test_a_model_without_cross_attention_makes_its_plain_image(host):
    unet = host.model.model.diffusion_model
    plain = host.run(Processing([PROMPT])).latent
    inner = torch.nn.Module()
    inner.forward = unet.forward
    host.model.model.diffusion_model = inner
    run = host.run(Processing([PROMPT]), Options())
    assert torch.equal(run.latent, plain)
    assert run.comments == ["ToMe: this model has no UNet with cross-attention layers; the image is made without ToMe"]


def test_nothing_to_bind_and_unreadable_groups_are_said_once(host):
    plain = host.run(Processing(["something", "something"]))
    run = host.run(Processing(["something", "something"]), Options())
    assert torch.equal(run.latent, plain.latent)
    assert run.comments == ["ToMe: nothing to bind was found in the prompt 'something'"]
    assert "ToMe failure" not in run.entries
    run = host.run(Processing(["something", "something"]), Options(gentle(groups="cat: (")))
    assert torch.equal(run.latent, plain.latent)
    assert len(run.comments) == 1
    assert "groups" in run.comments[0]
    assert "groups" in run.denoiser.p.extra_generation_params["ToMe failure"]


def test_a_hand_written_group_may_stand_in_one_part_only(host):
    prompt = "a red cat AND a blue dog"
    assert host.run(Processing([prompt]), fast(groups="cat: red")).comments == []
    said = host.run(Processing([prompt]), fast(groups="cat: red; bird: green")).comments
    assert len(said) == 1
    assert "bird" in said[0]


def test_the_second_pass_of_hires_fix_follows_its_switch(host):
    found = {}
    for hires in ("refine", "merge", "off"):
        p = Processing([PROMPT])
        p.is_hr_pass = True
        found[hires] = host.run(p, Options(hires=hires)).latent
    assert torch.equal(found["off"], host.run(Processing([PROMPT])).latent)
    assert torch.equal(found["merge"], host.run(Processing([PROMPT]), fast()).latent)
    assert torch.equal(found["refine"], host.run(Processing([PROMPT]), Options()).latent)


def test_each_image_of_a_batch_has_what_it_was_asked_to_have(host):
    """Prompts with tags of their own: one is refined, one has nothing of ours, one is merged by other groups."""
    other = gentle("fast").replace(groups="cat: blue; dog: red")
    asked = [Options(), None, Options(other)]
    both = host.run(Processing([PROMPT] * 3), Options(), batch=Batch(asked, asked))
    for number, own in enumerate(asked):
        alone = host.run(Processing([PROMPT], seeds=[number + 1]), own).latent[0]
        torch.testing.assert_close(both.latent[number], alone, **CLOSE)
    assert both.comments == []


def test_a_batch_of_images_without_tome_is_the_plain_one(host):
    plain = host.run(Processing([PROMPT] * 2))
    p = Processing([PROMPT] * 2)
    job = host.run(p, Options(), batch=Batch([None, None], [None, None]), last=False)
    assert torch.equal(job.latent, plain.latent)
    assert job.comments == []
    assert job.entries == {}
    again = host.run(p, Options(), job=job.job)
    assert again.entries == ENTRIES


def test_strength_0_is_the_plain_image_and_1_the_preset_bit_for_bit(host):
    plain = host.run(Processing([PROMPT])).latent
    off = host.run(Processing([PROMPT]), Options(gentle(strength=0.0)))
    assert torch.equal(off.latent, plain)
    assert off.comments == []
    full = host.run(Processing([PROMPT]), Options(gentle())).latent
    assert torch.equal(host.run(Processing([PROMPT]), Options(gentle(strength=1.0))).latent, full)


def test_a_low_strength_is_nearer_to_the_plain_image_than_a_high_one(host):
    plain = host.run(Processing([PROMPT])).latent
    away = [
        (host.run(Processing([PROMPT]), fast(strength=strength, related_weight=1.0)).latent - plain).norm()
        for strength in (0.1, 0.5, 1.0, 2.0)
    ]
    assert away == sorted(away)
    assert away[0] > 0


def test_the_second_pass_may_have_options_of_its_own(host):
    first, second = Options(hires="refine"), Options(gentle("fast"), hires="merge")
    p = Processing([PROMPT])
    p.is_hr_pass = True
    found = host.run(p, first, batch=Batch([first], [second])).latent
    assert torch.equal(found, host.run(Processing([PROMPT]), fast()).latent)


@pytest.mark.parametrize(
    ("prompt", "groups", "note"),
    [
        ("sunset over mountains", "", "nothing to bind"),
        (PROMPT, "horse: red", "hand-written group 'horse': not in the prompt"),
        (PROMPT, "", None),
    ],
)
def test_the_infotext_says_what_of_the_prompt_was_left_alone(host, prompt, groups, note):
    found = host.run(Processing([prompt]), fast(groups=groups, min_objects=1)).entries.get("ToMe note")
    assert found == note or (note and note in found)


def test_a_note_is_in_the_infotext_of_its_own_batch_alone(host):
    first = host.run(Processing(["sunset over mountains"]), fast(), last=False)
    assert "ToMe note" in first.entries
    p = first.denoiser.p
    p.prompts = p.hr_prompts = [PROMPT]
    second = host.run(p, fast(), job=first.job)
    assert "ToMe note" not in second.entries


def test_the_host_says_that_a_step_is_refined_and_stops_saying_it(host, monkeypatch):
    seen = []

    class State:
        interrupted = skipped = False

        def __setattr__(self, name, value):
            seen.append((name, value))
            super().__setattr__(name, value)

    monkeypatch.setattr(sys.modules["modules.shared"], "state", State())
    host.run(Processing([PROMPT]), Options())
    said = [entry for entry in seen if entry[0] == "textinfo"]
    assert said[:2] == [("textinfo", "ToMe: refining step 1 of 10"), ("textinfo", None)]


def test_a_switch_of_models_is_read_and_encoded_again(host):
    """The refiner: another model and another conditioning, between two calls, just before the callback."""
    other = standins.Model(sdxl=host.model.sdxl, seed=7)
    first = host.model
    p = Processing([PROMPT])

    def switch(denoiser):
        if denoiser.step == 5:
            host.fakes["modules.shared"].sd_model = denoiser.model = other
            denoiser.inner_model = standins.SigmaModel(other)
            denoiser.sampler.sampler_extra_args["cond"] = host.condition(p, other)[0]

    texts = host.run(p, Options(gentle(window_stop=0.8)), at=switch)
    host.fakes["modules.shared"].sd_model = first
    assert texts.comments == []
    assert "a cat and a dog" in other.encoded
    moved = [not torch.equal(a, b) for a, b in zip(texts.texts(), texts.texts()[1:], strict=False)]
    assert moved == [True] * 7 + [False] * 2
    assert clean(first)
    assert clean(other)


def test_maps_follow_the_images_with_their_infotexts(host):
    plain = host.run(Processing([PROMPT, "something", PROMPT]), Options())
    run = host.run(Processing([PROMPT, "something", PROMPT]), Options(show_maps=True))
    assert torch.equal(run.latent, plain.latent)
    assert len(run.processed.images) == 5
    assert run.processed.infotexts == ["image 0", "image 1", "image 2", "image 0", "image 2"]
    assert [image.info.get("parameters") for image in run.processed.images[3:]] == ["image 0", "image 2"]
    assert run.processed.images[3].tobytes() != run.processed.images[4].tobytes()


def test_maps_are_drawn_over_the_images_among_masks_and_the_pictures_of_others(host):
    from tome_ext.hosts.webui.sampling.maps import add_pictures

    opts = host.fakes["modules.shared"].opts
    opts.return_mask, opts.return_mask_composite = True, False
    prompts = [PROMPT, PROMPT]
    alone = host.run(Processing(prompts), Options(show_maps=True)).processed.images[2:]
    p = Processing(prompts)
    made = host.run(p, Options(show_maps=True), last=False)
    one, two = made.processed.images
    black = one.point(lambda value: 0)
    for masked in (True, False):
        p.mask_for_overlay = black if masked else None
        made.processed.images = [one, black, two, black] if masked else [one, two]
        made.processed.images += [black] * 2  # another extension's, behind all
        made.processed.infotexts = ["image 0", "image 1"]
        add_pictures(p, made.processed, made.job._maps, stride=1 + made.job._host.mask_count(p))
        assert [image.tobytes() for image in made.processed.images[-2:]] == [image.tobytes() for image in alone]


def test_maps_that_cannot_be_made_do_not_stop_refinement(host, monkeypatch):
    from tome_ext.hosts.webui.sampling import sampling_pass

    expected = host.run(Processing([PROMPT]), Options()).latent
    monkeypatch.setattr(sampling_pass, "heat_maps", raising(ValueError("no maps")))
    run = host.run(Processing([PROMPT]), Options(show_maps=True))
    assert torch.equal(run.latent, expected)
    assert len(run.processed.images) == 1
    assert run.comments == ["ToMe: no attention maps (ValueError: no maps)"]
    assert "ToMe failure" not in run.entries


def test_without_a_negative_prompt_reference_refines_what_it_can_and_says_so(host, monkeypatch):
    """At CFG scale 1 some hosts encode none."""
    kind = importlib.import_module("tome_ext.hosts.webui.backends.a1111").SigmaCall
    own = kind.step
    monkeypatch.setattr(kind, "step", lambda *given: replace(own(*given), null=None))
    p = Processing(["a red cat and a blue dog"])
    run = host.run(p, Options(gentle("reference")))
    (comment,) = run.comments
    assert comment.startswith("ToMe: at CFG scale 1 the WebUI encodes no negative prompt")
    same = host.run(Processing(p.prompts), Options(gentle("reference", phrase_latent="same")))
    assert torch.equal(run.latent, same.latent)
    assert same.comments == []
    assert run.entries["ToMe failure"].startswith("at CFG scale 1")


def test_our_texts_do_not_reach_the_infotext(host):
    hijack = host.fakes["modules.sd_hijack"].model_hijack
    p = Processing([PROMPT])
    cond = host.condition(p)
    hijack.extra_generation_params = {"TI hashes": "of the prompt"}
    host.run(p, Options(), cond=cond)
    assert hijack.extra_generation_params == {"TI hashes": "of the prompt"}


def test_phrases_are_encoded_only_for_refinement(host):
    host.run(Processing([PROMPT]), fast())
    assert "a red cat" not in host.model.encoded
    host.run(Processing([PROMPT]), Options())
    assert "a red cat" in host.model.encoded


def test_a_copied_job_is_none_of_ours(host):
    from tome_ext.hosts.webui.sampling import job as generation

    p = Processing([PROMPT])
    job = generation.start(p, Options())
    assert generation.job_of(p) is job
    assert generation.job_of(copy.copy(p)) is None
    generation.stop(p)
    assert generation.job_of(p) is None
    assert not [name for name in vars(p) if "tome" in name]


def test_a_finished_job_lets_go_of_everything(host):
    p = Processing([PROMPT])
    run = host.run(p, Options(show_maps=True))
    job = weakref.ref(run.job)
    assert not [name for name in vars(p) if "tome" in name]
    del run
    gc.collect()
    assert job() is None


def test_a_conditioning_changed_by_others_is_left_alone(host):
    """Another extension's extra tokens: the image comes out, and says why it is plain."""
    from tome_ext.hosts.webui.sampling import job as generation

    p = Processing([PROMPT])
    real = generation.on_denoise

    def shorter(params):
        text = params.text_cond
        if isinstance(text, dict):
            text["crossattn"] = text["crossattn"][:, :50]
        else:
            params.text_cond = text[:, :50]
        real(params)

    generation_on_denoise, generation.on_denoise = generation.on_denoise, shorter
    try:
        run = host.run(p, Options())
    finally:
        generation.on_denoise = generation_on_denoise
    assert any("is not that of" in comment for comment in run.comments)
    assert {text.shape[1] for text in run.texts()} == {50}


def raising(error):
    def broken(*args, **kwargs):
        raise error

    return broken


def marked(cond, sign):
    """As ControlNet does when sampling begins: each text's tokens, behind a vector that says what it is."""

    def mark(tokens):
        if (tokens[0].abs() == 1024).all():  # images with the same text share it
            return tokens
        return torch.cat([torch.full_like(tokens[:1], 1024.0 * sign), tokens])

    for entry in (entry for own in cond.batch for part in own for entry in part.schedules):
        made = entry.cond
        entry.cond = {**made, "crossattn": mark(made["crossattn"])} if isinstance(made, dict) else mark(made)
    return cond


def control(unet):
    """ControlNet's forward pass, in a module of its own: it takes the prefix off, and the encoder gets no gradient."""
    source = """
def forward(x, context):
    context = context[:, 1:] if (context[:, 0].abs() == 1024).all() else context
    with th.no_grad():
        h = unet.input_blocks[0][0](x)
        emb, options = th.ones(len(x), h.shape[1], dtype=h.dtype), {}
        for resnet, transformer in (unet.input_blocks[1], unet.middle_block):
            h = transformer(resnet(h, emb), context, options)
    for resnet, transformer in unet.output_blocks:
        h = transformer(resnet(h, emb), context, options)
    return unet.out(h)
"""
    scope = {"th": torch, "unet": unet}
    exec(source, scope)
    unet.forward = scope["forward"]
    return scope


@pytest.mark.parametrize(
    "settings",
    [
        gentle("fast"),
        gentle(resolution=1.0),
        gentle(resolution=1.0, phrase_latent="own"),
        gentle(resolution=1.0, latent_step=0.5),
    ],
    ids=["merged", "refined", "own trajectory", "latent step"],
)
@pytest.mark.parametrize("timesteps", [False, True])
def test_an_idle_controlnet_changes_nothing(host, settings, timesteps):
    """Token positions are those of the text, and no part of the gradient is refinement_lost."""
    prompts = [PROMPT, "best quality, " * 40 + PROMPT]
    expected = host.run(Processing(prompts), Options(settings), timesteps=timesteps)
    p = Processing(prompts)
    cond, uncond = host.condition(p)
    scope = control(host.model.model.diffusion_model)
    both = marked(cond, 1), marked(uncond, -1)
    made = host.run(p, Options(settings), cond=both, timesteps=timesteps)
    assert made.comments == expected.comments == []
    torch.testing.assert_close(made.latent, expected.latent, atol=1e-3, rtol=1e-3)
    assert all((text[:, 0] == 1024).all() for text in made.texts())
    assert scope["th"] is torch


def test_a_finished_job_is_freed_at_once(host):
    """Cycles are freed late: collections count objects, not the memory that their tensors hold."""
    host.run(Processing([PROMPT]), Options())
    gc.collect()
    gc.disable()
    try:
        run = host.run(Processing([PROMPT]), Options(show_maps=True))
        job = weakref.ref(run.job)
        del run
        assert job() is None
    finally:
        gc.enable()
