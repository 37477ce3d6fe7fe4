from __future__ import annotations

import numpy as np
import pytest
import torch

from tome_ext.embedded.random_model import clip_tokenizer, random_pipeline, random_pipeline_sd15

BUILDERS = {"sdxl": random_pipeline, "sd15": random_pipeline_sd15}


@pytest.fixture(scope="module", params=BUILDERS)
def built(request):
    return request.param, BUILDERS[request.param]()


def picture(pipe, prompt: str, **options) -> np.ndarray:
    pipe.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(1)
    options = {"num_inference_steps": 3, "width": 64, "height": 96, "output_type": "np", **options}
    return pipe(prompt, generator=generator, **options).images[0]


def weights(pipe) -> dict[str, torch.Tensor]:
    return {
        f"{part}.{k}": v
        for part in ("unet", "vae", "text_encoder")
        for k, v in getattr(pipe, part).state_dict().items()
    }


def test_pictures_are_finite_and_not_degenerate(built):
    image = picture(built[1], "a cat")
    assert image.shape == (96, 64, 3)
    assert np.isfinite(image).all()
    assert (image.std(axis=(0, 1)) > 0.05).all()
    assert ((image == 0) | (image == 1)).mean() < 0.25


def test_the_prompt_is_seen_in_the_picture(built):
    cat, dog = picture(built[1], "a cat"), picture(built[1], "a dog in a red car")
    assert np.abs(cat - dog).mean() > 0.02


def test_the_same_seed_builds_the_same_weights_and_leaves_the_global_noise_alone(built):
    name, pipe = built
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    again = BUILDERS[name]()
    assert torch.equal(torch.rand(3), expected)
    ours, theirs = weights(pipe), weights(again)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert not torch.equal(weights(BUILDERS[name](seed=1))["unet.conv_in.weight"], ours["unet.conv_in.weight"])


def test_nothing_is_trained_and_nothing_censors(built):
    _, pipe = built
    assert not any(parameter.requires_grad for parameter in pipe.unet.parameters())
    assert getattr(pipe, "safety_checker", None) is None


def test_the_authors_attention_layers_exist_in_the_sdxl_shape():
    names = {name for name, _ in random_pipeline().unet.named_modules()}
    assert {f"up_blocks.0.attentions.1.transformer_blocks.{n}.attn2" for n in (1, 2, 3)} <= names


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a photo of a cat", [320, 1125, 539, 320, 2368]),
        ("Sunglasses", [12906]),
        ("it's 42!", [585, 568, 275, 273, 256]),
        ("", []),
    ],
)
def test_the_tokenizer_gives_the_ids_of_clip(text, ids):
    assert clip_tokenizer()(text).input_ids == [49406, *ids, 49407]


def test_the_second_tokenizer_pads_with_id_zero():
    padded = {"padding": "max_length", "max_length": 5}
    assert clip_tokenizer()("cat", **padded).input_ids == [49406, 2368, 49407, 49407, 49407]
    assert clip_tokenizer(pad="!")("cat", **padded).input_ids == [49406, 2368, 49407, 0, 0]
    assert len(clip_tokenizer()) == 49408
    assert clip_tokenizer().model_max_length == 77
