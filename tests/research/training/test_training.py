"""Training: killed and resumed it gives the same weights; what it makes loads as a pipeline."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models import untrained_pipeline
from tome_ext.embedded import shapes_model
from tome_ext.embedded.shapes_file import read_model, write_model
from tome_ext.research.training import autoencoder, checkpoints, diffusion
from tome_ext.research.training.autoencoder import AutoencoderPlan, train_autoencoder
from tome_ext.research.training.diffusion import DiffusionPlan, TextToNoise, make_batch, train_diffusion
from tome_ext.research.training.latents import Shard, pack, read_shards, write_shards
from tome_ext.research.world.captions import vocabulary
from tome_ext.research.world.scenes import random_scene

CPU = torch.device("cpu")


class Killed(Exception):
    pass


@pytest.fixture
def kill(monkeypatch):
    """Makes the next save at a step the last thing that a training does."""

    def at(step):
        real = checkpoints.save

        def save(path, done, parts, notes):
            real(path, done, parts, notes)
            if done == step:
                monkeypatch.setattr(checkpoints, "save", real)
                raise Killed

        monkeypatch.setattr(checkpoints, "save", save)

    return at


@pytest.fixture(scope="module")
def shard():
    import numpy as np

    rng = np.random.default_rng(0)
    things = torch.tensor([pack(random_scene(rng)) for _ in range(16)], dtype=torch.int8)
    return Shard(torch.randn(16, 4, 24, 24, generator=torch.Generator().manual_seed(0)).half(), things)


def equal(first, second):
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_a_killed_autoencoder_training_ends_where_an_unbroken_one_does(tmp_path, monkeypatch, kill):
    monkeypatch.setattr(autoencoder, "_SAVE_EVERY", 2)
    monkeypatch.setattr(autoencoder, "_scaling", lambda *given: 0.5)
    plan = AutoencoderPlan(steps=4, batch=1, crop=32, whole=0.0)
    whole = train_autoencoder(tmp_path / "whole", plan, CPU)
    kill(2)
    with pytest.raises(Killed):
        train_autoencoder(tmp_path / "broken", plan, CPU)
    assert equal(whole, train_autoencoder(tmp_path / "broken", plan, CPU))
    assert whole.config.scaling_factor == 0.5


def test_a_killed_diffusion_training_ends_where_an_unbroken_one_does(tmp_path, shard, kill):
    plan = DiffusionPlan(steps=2, batch=2, save_every=1)
    whole = train_diffusion(tmp_path / "whole", shard, plan, CPU)
    kill(1)
    with pytest.raises(Killed):
        train_diffusion(tmp_path / "broken", shard, plan, CPU)
    assert equal(whole, train_diffusion(tmp_path / "broken", shard, plan, CPU))


def test_a_training_of_another_plan_is_not_gone_on_with(tmp_path, shard):
    train_diffusion(tmp_path, shard, DiffusionPlan(steps=1, batch=2), CPU)
    train_diffusion(tmp_path, shard, DiffusionPlan(steps=2, batch=2, save_every=1), CPU)
    with pytest.raises(ValueError, match="begun with batch 2, not 3"):
        train_diffusion(tmp_path, shard, DiffusionPlan(steps=3, batch=3), CPU)


def test_latents_are_those_of_the_autoencoder_as_it_is(tmp_path):
    vae = shapes_model.autoencoder(0.5).eval()
    first = write_shards(tmp_path, vae, 1, 0, size=2)
    with torch.no_grad():
        vae.encoder.conv_in.weight.mul_(1.5)
    second = write_shards(tmp_path, vae, 1, 0, size=2)
    assert first != second
    assert not torch.equal(read_shards(first).latents, read_shards(second).latents)


def test_whole_pictures_take_the_place_of_as_many_crops():
    plan = AutoencoderPlan(steps=10, batch=18, crop=64, whole=0.5)
    crops, whole = autoencoder.pictures(plan, 0), autoencoder.pictures(plan, 9)
    assert (crops.shape, whole.shape) == ((18, 3, 64, 64), (2, 3, 192, 192))
    assert -1 <= crops.min() < crops.max() <= 1
    assert torch.equal(crops, autoencoder.pictures(plan, 0))


def test_the_scaling_brings_latents_to_unit_variance_on_pictures_of_their_own():
    vae = shapes_model.autoencoder().eval()
    scaling = autoencoder._scaling(vae, AutoencoderPlan(), CPU)
    with torch.no_grad():
        other = vae.encode(autoencoder.pictures(AutoencoderPlan(seed=5, batch=32, crop=192), 0)).latent_dist.mean
    assert float(other.std()) * scaling == pytest.approx(1, rel=0.15)
    assert 0 < autoencoder.mean_error(vae, count=2) < 255


def test_batches_depend_on_seed_and_step_alone(shard):
    plan = DiffusionPlan(batch=4)
    first, again, other = (make_batch(shard, plan, step) for step in (3, 3, 4))
    assert torch.equal(first.first, again.first)
    assert torch.equal(first.noise, again.noise)
    assert not torch.equal(first.noise, other.noise)
    assert torch.equal(first.changes.order, again.changes.order)


def test_the_loss_falls(shard):
    model, plan, cumulative = TextToNoise(), DiffusionPlan(batch=4), diffusion.alphas()
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    batch = make_batch(shard, plan, 0)
    losses = []
    for _ in range(8):
        loss = diffusion.loss_of(model, batch, cumulative)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


def test_half_written_shards_are_made_again(tmp_path):
    vae = shapes_model.autoencoder(0.5).eval()
    first = write_shards(tmp_path, vae, 2, 0, size=2)
    whole = read_shards(first)
    first[1].rename(first[1].with_suffix(".partial"))
    stamp = first[0].stat().st_mtime_ns
    again = read_shards(write_shards(tmp_path, vae, 2, 0, size=2))
    assert first[0].stat().st_mtime_ns == stamp
    assert torch.equal(whole.latents, again.latents)
    assert torch.equal(whole.things, again.things)
    assert whole.latents.shape == (4, 4, 24, 24)


def test_the_models_file_is_small_and_gives_the_model_back(tmp_path):
    pipe = untrained_pipeline(1)
    pipe.vae.register_to_config(scaling_factor=0.75)
    path = tmp_path / "shapes.safetensors"
    parts = (pipe.vae, pipe.text_encoder, pipe.text_encoder_2, pipe.unet)
    write_model(path, *parts, words=vocabulary(), recipe=json.dumps({"steps": 1}))
    assert path.stat().st_size < 20e6
    back = read_model(path)
    assert back.vae.config.scaling_factor == 0.75
    half = {name: value.half().float() for name, value in pipe.unet.state_dict().items()}
    assert all(torch.equal(half[name], value) for name, value in back.unet.state_dict().items())
    both = [
        p.encode_prompt("a red striped circle wearing sunglasses, high quality", device=CPU)[0] for p in (pipe, back)
    ]
    assert torch.allclose(*both, atol=2e-2)
    assert torch.equal(
        *(p.encode_prompt(f"a {word} circle", device=CPU)[0][0, 2] for p, word in ((back, "zebra"), (back, "window")))
    )
    assert read_model(path).unet.config.sample_size == 24


@pytest.mark.parametrize("renamed", [True, False])
def test_the_models_file_is_read_whatever_a_library_calls_the_text_encoders_tensors(tmp_path, renamed):
    path = written(tmp_path)
    tensors = load_file(str(path))
    prefix = ".text_model." if renamed else "."
    other = {_renamed(key, prefix): value for key, value in tensors.items()}
    assert other.keys() != tensors.keys()
    save_file(other, str(tmp_path / "other.safetensors"), metadata={"scaling": "0.75"})
    first, second = (read_model(one) for one in (path, tmp_path / "other.safetensors"))
    for name in ("text_encoder", "text_encoder_2"):
        assert equal(getattr(first, name), getattr(second, name))


def test_a_models_file_without_a_tensor_is_refused(tmp_path):
    path = written(tmp_path)
    tensors = load_file(str(path))
    del tensors["unet.conv_in.weight"]
    save_file(tensors, str(path), metadata={"scaling": "0.75"})
    with pytest.raises(ValueError, match=r"unet\.conv_in\.weight"):
        read_model(path)


def written(folder):
    pipe = untrained_pipeline(1)
    path = folder / "own.safetensors"
    write_model(path, pipe.vae, pipe.text_encoder, pipe.text_encoder_2, pipe.unet, words=vocabulary())
    return path


def _renamed(key, prefix):
    part, _, rest = key.partition(".")
    return f"{part}{prefix}{rest.removeprefix('text_model.')}" if part.startswith("text_encoder") else key
