"""The export computes what the embedded model computes, in the shape that WebUIs know."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from tests.models import untrained_pipeline
from tome_ext.embedded import shapes_model
from tome_ext.research.export import text
from tome_ext.research.export.autoencoder import widen_autoencoder
from tome_ext.research.export.unet import widen_unet
from tome_ext.research.export.webui import UNET_TIMES, VAE_TIMES, checkpoint, configuration


@pytest.fixture(scope="module")
def pipe():
    made = untrained_pipeline(3)
    generator = torch.Generator().manual_seed(0)
    for part in (made.unet, made.vae, made.text_encoder, made.text_encoder_2):
        for parameter in part.parameters():  # no bias zero, no weight one: nothing may be right by accident
            parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    return made


def wide_unet(source):
    config = {name: value for name, value in source.config.items() if not name.startswith("_")}
    config |= {
        "block_out_channels": tuple(UNET_TIMES * width for width in shapes_model.UNET_WIDTHS),
        "norm_num_groups": 32,
        "cross_attention_dim": text.context_layout().size,
        "projection_class_embeddings_input_dim": text.OPEN_WIDTH + 6 * shapes_model.TIME_WIDTH,
    }
    return UNet2DConditionModel(**config)


@torch.no_grad()
def test_the_wide_unet_predicts_the_same_noise(pipe):
    wide = wide_unet(pipe.unet)
    wide.load_state_dict(
        widen_unet(pipe.unet.state_dict(), UNET_TIMES, text.context_layout(), text.pooled_layout()), strict=True
    )
    latents, context, pooled = torch.randn(2, 4, 16, 16), torch.randn(2, 77, 192), torch.randn(2, 128)
    sizes = torch.tensor([[192.0, 192, 0, 0, 192, 192]] * 2)
    own = pipe.unet(latents, 321, context, added_cond_kwargs={"text_embeds": pooled, "time_ids": sizes}).sample
    first, second = context.split(shapes_model.TEXT_WIDTHS, -1)
    added = {"text_embeds": torch.cat([pooled, torch.zeros(2, 128)], -1), "time_ids": sizes}
    theirs = wide(latents, 321, torch.cat([first, second, second], -1), added_cond_kwargs=added).sample
    assert own.std() > 0.01
    assert torch.allclose(own, theirs, atol=2e-4 * float(own.abs().max()))


@torch.no_grad()
def test_the_wide_autoencoder_encodes_and_decodes_the_same(pipe):
    config = {name: value for name, value in pipe.vae.config.items() if not name.startswith("_")}
    widths = tuple(VAE_TIMES * width for width in shapes_model.VAE_WIDTHS)
    wide = AutoencoderKL(**config | {"block_out_channels": widths, "norm_num_groups": 32})
    wide.load_state_dict(widen_autoencoder(pipe.vae.state_dict(), VAE_TIMES), strict=True)
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    own, theirs = (vae.encode(image).latent_dist.mean for vae in (pipe.vae, wide))
    assert torch.allclose(own, theirs, atol=1e-3 * float(own.abs().max()))
    own, theirs = (vae.decode(own).sample for vae in (pipe.vae, wide))
    assert own.std() > 0.01
    assert torch.allclose(own, theirs, atol=1e-3 * float(own.abs().max()))


def open_clip(tensors, ids):
    """OpenCLIP's text tower, written out: penultimate states and pooled vector."""
    get = {name.removeprefix("model."): value for name, value in tensors.items()}
    linear, norm = torch.nn.functional.linear, torch.nn.functional.layer_norm
    width, heads = text.OPEN_WIDTH, 4
    x = get["token_embedding.weight"][ids] + get["positional_embedding"]
    before = x
    for number in range(text.OPEN_LAYERS):
        before = x
        at = {
            name[len(f"transformer.resblocks.{number}.") :]: value
            for name, value in get.items()
            if name.startswith(f"transformer.resblocks.{number}.")
        }
        inner = norm(x, (width,), at["ln_1.weight"], at["ln_1.bias"])
        q, k, v = (
            part.view(1, 77, heads, -1).transpose(1, 2)
            for part in linear(inner, at["attn.in_proj_weight"], at["attn.in_proj_bias"]).chunk(3, -1)
        )
        seen = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        seen = seen.transpose(1, 2).reshape(1, 77, width)
        x = x + linear(seen, at["attn.out_proj.weight"], at["attn.out_proj.bias"])
        inner = norm(x, (width,), at["ln_2.weight"], at["ln_2.bias"])
        inner = torch.nn.functional.gelu(linear(inner, at["mlp.c_fc.weight"], at["mlp.c_fc.bias"]))
        x = x + linear(inner, at["mlp.c_proj.weight"], at["mlp.c_proj.bias"])
    last = norm(x, (width,), get["ln_final.weight"], get["ln_final.bias"])
    return before, last[0, ids[0].argmax()] @ get["text_projection"]


@torch.no_grad()
def test_the_second_text_encoder_is_the_same_in_openclips_form(pipe):
    ids = torch.tensor([pipe.tokenizer_2("a red ring", padding="max_length", max_length=77).input_ids])
    own = pipe.text_encoder_2(ids, output_hidden_states=True)
    states, pooled = open_clip(text.second_encoder(pipe.text_encoder_2.state_dict()), ids)
    assert torch.allclose(states[..., :128], own.hidden_states[-2], atol=2e-4)
    assert torch.allclose(states[..., 128:], own.hidden_states[-2], atol=2e-4)
    assert torch.allclose(pooled[:128], own.text_embeds[0], atol=2e-4)
    assert not pooled[128:].any()


def test_every_tensor_of_the_checkpoint_has_a_name_that_diffusers_reads_back(pipe):
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint

    tensors = checkpoint(pipe)
    wide = wide_unet(pipe.unet)
    unet = convert_ldm_unet_checkpoint(dict(tensors), dict(wide.config))
    wide.load_state_dict(unet, strict=True)
    vae = convert_ldm_vae_checkpoint(dict(tensors), dict(pipe.vae.config))
    expected = widen_autoencoder(pipe.vae.state_dict(), VAE_TIMES)
    assert {name: value.shape for name, value in vae.items()} == {n: v.shape for n, v in expected.items()}
    assert all(torch.equal(vae[name], value) for name, value in expected.items())


def test_the_yaml_says_what_the_tensors_are(tmp_path):
    told = configuration(tmp_path / "clip", 0.5)
    assert "scale_factor: 0.5\n" in told
    assert f"context_dim: {64 + 256}\n" in told
    assert "model_channels: 128\n" in told
    assert "num_head_channels: 64\n" in told
    assert "ch: 128\n" in told
