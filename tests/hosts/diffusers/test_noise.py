from __future__ import annotations

import itertools

import diffusers
import pytest
import torch

from tome_ext.hosts.diffusers.call import UNetCall, select_rows
from tome_ext.hosts.diffusers.noise import Schedule, noise_level, noise_of


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("timestep", [1, 500, 999])
def test_every_kind_of_prediction_gives_the_same_noise(kind, timestep):
    scheduler = diffusers.DDPMScheduler(prediction_type=kind)
    clean, noise = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    at = torch.tensor([timestep])
    latents = scheduler.add_noise(clean, noise, at)
    output = {"epsilon": noise, "sample": clean, "v_prediction": scheduler.get_velocity(clean, noise, at)}[kind]
    found = noise_of(scheduler, noise_level(scheduler, timestep))(output, latents)
    assert torch.allclose(found, noise, atol=1e-3)


def test_levels_are_those_of_euler_between_timesteps_too():
    scheduler = diffusers.EulerDiscreteScheduler(timestep_spacing="linspace")
    scheduler.set_timesteps(7)
    for timestep, sigma in zip(scheduler.timesteps, scheduler.sigmas, strict=False):
        assert noise_level(scheduler, float(timestep)) == pytest.approx(float(sigma), rel=2e-3)


def test_other_schedules_than_a_thousand_timesteps():
    scheduler = diffusers.DDIMScheduler(num_train_timesteps=50)
    assert noise_level(scheduler, 80) == noise_level(scheduler, 49)


def test_an_unknown_kind_is_named():
    scheduler = diffusers.DDPMScheduler()
    scheduler.register_to_config(prediction_type="flow")
    with pytest.raises(ValueError, match="prediction_type = 'flow'"):
        noise_of(scheduler, 1.0)


def places(scheduler, steps, first=None):
    scheduler.set_timesteps(steps)
    schedule = Schedule(scheduler, float(scheduler.timesteps[0] if first is None else first))
    return schedule, schedule.coming


def test_the_schedule_begins_at_the_highest_noise_whatever_the_spacing():
    for spacing in ("leading", "linspace", "trailing"):
        schedule, coming = places(diffusers.EulerDiscreteScheduler(timestep_spacing=spacing), 20)
        assert (schedule.start, schedule.total, coming[0]) == (0, 20, 0)
        assert all(a < b for a, b in itertools.pairwise(coming))
        assert coming[10] == pytest.approx(0.5, abs=0.03)


def test_an_image_to_image_run_begins_late_in_the_schedule():
    scheduler = diffusers.EulerDiscreteScheduler()
    scheduler.set_timesteps(50)
    schedule, coming = places(scheduler, 50, scheduler.timesteps[35])
    assert (schedule.start, len(coming)) == (35, 15)
    assert coming[0] == pytest.approx(0.7, abs=0.03)


def test_both_calls_of_a_second_order_step_have_their_own_noise():
    scheduler = diffusers.HeunDiscreteScheduler()
    _, coming = places(scheduler, 10)
    own = [1 - float(t) / float(scheduler.timesteps[0]) for t in scheduler.timesteps]
    assert coming == pytest.approx(own)
    assert len(coming) == 19


def test_uneven_steps_are_placed_by_noise_and_not_by_count():
    _, coming = places(diffusers.EulerDiscreteScheduler(use_karras_sigmas=True), 20)
    assert coming[10] < 0.46


def test_where_timesteps_are_not_the_models_own_the_calls_are_counted():
    _, coming = places(diffusers.EDMEulerScheduler(), 4)
    assert coming == [0, 0.25, 0.5, 0.75]


def test_rows_of_nested_arguments():
    value = {"a": torch.arange(4), "b": (torch.arange(4), [torch.arange(3)]), "c": 5, "t": torch.tensor(7)}
    made = select_rows(value, [2, 2, 3], 4)
    assert made["a"].tolist() == [2, 2, 3]
    assert made["b"][0].tolist() == [2, 2, 3]
    assert made["b"][1][0].tolist() == [0, 1, 2]
    assert made["c"] == 5
    assert made["t"] == 7


def test_inpainting_models_keep_their_extra_channels():
    sample = torch.randn(4, 9, 8, 8)
    arguments = (sample, 5, torch.randn(4, 77, 6))
    call = UNetCall.of(arguments, {}, 2)
    assert call.latents.shape == (2, 4, 8, 8)
    seen = {}

    class UNet(torch.nn.Module):
        def forward(self, **given):
            seen.update(given)
            return (given["sample"][:, :4],)

    predict = call.predictor(UNet(), lambda output, latents: output, blank_pooled=False)
    predict(torch.zeros(3, 4, 8, 8), torch.zeros(3, 1, 6), [1, 1, 0])
    assert torch.equal(seen["sample"][:, 4:], sample[[3, 3, 2], 4:])
    assert not seen["sample"][:, :4].any()
    changed = call.changed(torch.zeros(2, 77, 6), torch.ones(2, 4, 8, 8), [None, None])
    assert torch.equal(changed["sample"][:, 4:], sample[:, 4:])
    assert changed["sample"][:, :4].eq(1).all()
    assert torch.equal(changed["encoder_hidden_states"][:2], arguments[2][:2])


def test_latents_of_another_size_are_for_calls_without_anything_of_the_pictures_size():
    text = torch.randn(4, 77, 6)
    assert UNetCall.of((torch.randn(4, 4, 8, 8), 5, text), {"mid_block_additional_residual": None}, 2).resizable
    assert not UNetCall.of((torch.randn(4, 9, 8, 8), 5, text), {}, 2).resizable
    control = {"mid_block_additional_residual": torch.zeros(4, 16, 2, 2)}
    assert not UNetCall.of((torch.randn(4, 4, 8, 8), 5, text), control, 2).resizable
