"""The counted figures: exact, and the same on every machine."""

from __future__ import annotations

import json

import pytest
import torch

from tome_ext.cli import main
from tome_ext.cost.count import GIB, Run, count
from tome_ext.cost.meter import Meter
from tome_ext.method.attention import AttentionRecorder
from tome_ext.method.layers import select_layers
from tome_ext.settings import preset


def one_pass(model, latent: int, layers: str | None = None, tokens: int = 77) -> tuple[float, float, float]:
    """Forward and backward of one row in TFLOP, and what was saved in GiB; only up to ``layers`` where given."""
    latents = torch.zeros(1, 4, latent, latent, device="meta", dtype=torch.float16)
    context = torch.zeros(1, tokens, model.width, device="meta", dtype=torch.float16, requires_grad=True)
    meter = Meter([model.unet])
    with meter:
        if layers is None:
            result = model.predict(latents, context)
        else:
            with AttentionRecorder(select_layers(model.unet, layers), stop=True) as recorder:
                recorder.run(lambda: model.predict(latents, context))
                result = recorder.probabilities()
        torch.autograd.grad(result.sum(), [context])
    return meter.forward / 1e12, meter.backward / 1e12, meter.peak_saved / GIB


@pytest.mark.parametrize(
    ("latent", "layers", "forward", "backward", "saved"),
    [
        (128, None, 6.76, 7.26, 16.0),
        (128, "reference", 4.03, 4.18, 8.68),  # 8.6 by the pass, the rest by the maps in float32
        (64, None, 1.59, 1.59, 2.1),
        (32, None, 0.43, 0.42, 0.44),
    ],
)
def test_the_starting_point_on_sdxl(sdxl, latent, layers, forward, backward, saved):
    found = one_pass(sdxl, latent, layers)
    assert found[:2] == pytest.approx((forward, backward), abs=0.006)
    assert found[2] == pytest.approx(saved, abs=0.06 if saved > 1 else 0.006)


def test_the_starting_point_up_to_the_end_of_the_middle_block(sdxl):
    reached = []
    context = torch.zeros(1, 77, sdxl.width, device="meta", dtype=torch.float16, requires_grad=True)

    class Reached(Exception):
        pass

    def stop(module, inputs, output):
        reached.append(output)
        raise Reached

    handle = sdxl.unet.mid_block.register_forward_hook(stop)
    with Meter([sdxl.unet]) as meter:
        with pytest.raises(Reached):
            sdxl.predict(torch.zeros(1, 4, 128, 128, device="meta", dtype=torch.float16), context)
        torch.autograd.grad(reached[0].sum(), [context])
    handle.remove()
    assert (meter.forward / 1e12, meter.backward / 1e12) == pytest.approx((2.93, 3.00), abs=0.006)
    assert meter.peak_saved / GIB == pytest.approx(6.7, abs=0.06)


def test_the_sdxl_and_sd15_unets_have_their_public_number_of_weights(sdxl, sd15):
    assert sum(p.numel() for p in sdxl.unet.parameters()) == 2_567_463_684
    assert sum(p.numel() for p in sd15.unet.parameters()) == 859_520_964


def test_fast_costs_a_text_encoding_and_keeps_nothing(counted):
    for name, size in (("sdxl", 1024), ("sd15", 512)):
        cost = counted(name, preset("fast"), Run(width=size, height=size))
        assert 1 < cost.ratio <= 1.005
        assert (cost.peak_saved, cost.peak_live, cost.refined_steps) == (0, 0, 0)


def test_the_work_of_paper_is_the_sum_of_its_passes(sd15):
    settings = preset("paper").replace(iterations=2)
    run = Run(steps=30, objects=1, batch=2, width=512, height=512)
    cost = count(sd15, settings, run)
    full, alone = one_pass(sd15, 64), one_pass(sd15, 64, tokens=1)
    maps = one_pass(sd15, 64, "paper")
    expected = 2 * full[0] + 2 * (2 * sum(alone[:2]) + 2 * sum(maps[:2]))
    assert cost.step / 1e12 == pytest.approx(expected, rel=1e-3)
    assert cost.rows == {"target": 2, "attention": 4, "binding": 4}
    assert cost.refined_steps == 6
    assert cost.plain / 1e12 == pytest.approx(30 * 2 * 2 * full[0], rel=1e-6)


def test_checkpointing_costs_operations_and_saves_memory(sd15):
    run = Run(width=512, height=512)
    kept = count(sd15, preset("paper").replace(iterations=1, checkpointing="off"), run)
    again = count(sd15, preset("paper").replace(iterations=1, checkpointing="on"), run)
    assert kept.recomputed == 0
    assert again.step == kept.step + again.recomputed
    assert 0.1 < again.recomputed / kept.step < 0.4
    assert again.peak_saved < 0.2 * kept.peak_saved


def test_the_meter_counts_by_hand_on_real_tensors():
    a, b = torch.randn(3, 5, requires_grad=True), torch.randn(5, 7)
    meter = Meter()
    with meter:
        product = a @ b
        hidden = torch.sigmoid(product)
        del product
        torch.autograd.grad(hidden.sum(), [a])
    assert (meter.forward, meter.backward, meter.recomputed) == (2 * 3 * 5 * 7, 2 * 3 * 5 * 7, 0)
    assert meter.peak_saved == 4 * (3 * 7 + 1 + 1)  # the sigmoid, its sum and the gradient of that
    assert meter.peak_live > meter.peak_saved


def test_the_command_prints_one_json_object(capsys):
    assert main(["cost", "--model", "sd15", "--preset", "fast", "--steps", "20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["flops_ratio"] == pytest.approx(1.0004, abs=1e-4)
    assert (found["peak_saved_gib"], found["steps"], found["width"]) == (0, 20, 512)


def test_every_setting_is_a_flag_of_the_command(capsys):
    assert main(["cost", "--model", "sd15", "--iterations", "0", "--ets", "off"]) == 0
    assert "1.000 times plain sampling" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--steps", "0"], "steps = 0"),
        (["--objects", "31"], "objects = 31"),
        (["--size", "100x100"], "multiples of 64"),
        (["--iteratoins", "2"], "did you mean --iterations"),
    ],
)
def test_mistakes_are_told(capsys, flags, words):
    assert main(["cost", *flags]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "ratio", "kept", "checkpointed", "kept_checkpointed"),
    [("sdxl", 1.0834, 1.9322, 1.1009, 0.2351), ("sd15", 1.0782, 0.7571, 1.0867, 0.1385)],
)
def test_balanced_meets_its_target_counted_over_the_whole_run(
    counted, name, ratio, kept, checkpointed, kept_checkpointed
):
    """At most 1.10 times plain sampling, 1.15 with checkpointing, and 2 GiB."""
    size = 1024 if name == "sdxl" else 512
    run = Run(width=size, height=size)
    auto, on = (counted(name, preset("balanced").replace(checkpointing=mode), run) for mode in ("auto", "on"))
    for cost in (auto, on):
        assert cost.ratio <= (1.15 if cost is on else 1.10)
        assert cost.peak_saved <= 2 * GIB
    assert on.peak_saved <= 1 * GIB
    assert (auto.ratio, on.ratio) == pytest.approx((ratio, checkpointed), abs=1e-4)
    assert (auto.peak_saved / GIB, on.peak_saved / GIB) == pytest.approx((kept, kept_checkpointed), abs=1e-3)
