from __future__ import annotations

from fnmatch import fnmatchcase
from functools import partial

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor

from tests.ldm_unet import LdmUNet
from tests.models import WIDTH, sd15_unet, sdxl_unet
from tome_ext.method.attention import AttentionRecorder, map_size
from tome_ext.method.backward.autograd import frozen
from tome_ext.method.layers import cross_attention_layers, select_layers


@pytest.fixture
def unet():
    return sdxl_unet()


def call(unet, size=(16, 16), rows=2, **more):
    torch.manual_seed(0)
    return unet(torch.randn(rows, 4, *size), 801, torch.randn(rows, 77, WIDTH), **more).sample


def hooks(unet):
    return [n for n, m in unet.named_modules() if m._forward_hooks or m._forward_pre_hooks]


def test_layers_come_in_the_order_of_the_forward_pass(unet):
    called = []
    layers = cross_attention_layers(unet)
    handles = [m.register_forward_hook(lambda *_, n=n: called.append(n)) for n, m in layers.items()]
    call(unet)
    for handle in handles:
        handle.remove()
    assert called == list(layers)


def test_the_authors_layers(unet):
    assert list(select_layers(unet, "reference")) == [
        f"up_blocks.0.attentions.1.transformer_blocks.{i}" for i in (1, 2, 3)
    ]
    assert list(select_layers(unet, "paper")) == [f"up_blocks.0.attentions.0.transformer_blocks.{i}" for i in (0, 1, 2)]
    assert all(name.startswith("mid_block") for name in select_layers(unet, "middle"))


def test_reference_layers_of_a_shallow_unet():
    names = [f"up_blocks.1.attentions.{i}.transformer_blocks.0" for i in (0, 1, 2)]
    assert list(select_layers(sd15_unet(), "reference")) == names


def test_layers_by_pattern_and_an_unknown_one(unet):
    assert len(select_layers(unet, "up_blocks.0.attentions.*.transformer_blocks.0, mid_block*")) == 7
    with pytest.raises(ValueError, match=r"down_blocks\.9.*it has down_blocks"):
        select_layers(unet, "down_blocks.9")


@torch.no_grad()
def test_the_result_is_bit_identical_while_recording(unet):
    plain = call(unet)
    with AttentionRecorder(select_layers(unet, "paper")):
        recorded = call(unet)
    assert torch.equal(plain, recorded)
    assert torch.equal(plain, call(unet))


@torch.no_grad()
def test_maps_are_those_that_the_layers_compute(unet):
    layers = select_layers(unet, "reference")
    seen = []

    class Spy(AttnProcessor):
        def __call__(self, attn, *args, **kwargs):
            scores = attn.get_attention_scores
            attn.get_attention_scores = lambda *a: seen.append(scores(*a)) or seen[-1]
            try:
                return super().__call__(attn, *args, **kwargs)
            finally:
                del attn.get_attention_scores

    for layer in layers.values():
        layer.set_processor(Spy())
    with AttentionRecorder(layers) as recorder:
        call(unet)
    expected = torch.stack([s.view(2, -1, *s.shape[1:]).mean(1) for s in seen]).mean(0)
    assert torch.allclose(recorder.probabilities(), expected, atol=1e-6)
    assert torch.allclose(recorder.probabilities().sum(-1), torch.ones(2, 16))


def test_stopping_skips_the_rest_of_the_pass(unet):
    later = []
    handle = unet.conv_out.register_forward_hook(lambda *_: later.append(1))
    with AttentionRecorder(select_layers(unet, "reference"), stop=True) as recorder:
        recorder.run(lambda: call(unet))
    handle.remove()
    assert not later
    with torch.no_grad(), AttentionRecorder(select_layers(unet, "reference")) as whole:
        call(unet)
    assert torch.equal(recorder.probabilities(), whole.probabilities())


def test_gradients_reach_text_and_latent(unet):
    latents, text = torch.randn(1, 4, 16, 16, requires_grad=True), torch.randn(1, 77, WIDTH, requires_grad=True)
    with frozen(unet), AttentionRecorder(select_layers(unet, "reference"), stop=True) as recorder:
        recorder.run(lambda: unet(latents, 801, text))
        gradients = torch.autograd.grad(recorder.probabilities()[0, :, 3].square().sum(), [latents, text])
    assert all(g.abs().sum() > 0 for g in gradients)
    assert all(p.grad is None for p in unet.parameters())


@pytest.mark.parametrize("when", ["during", "within"])
def test_nothing_is_left_after_an_exception(unet, when):
    class Stop(RuntimeError):
        pass

    def fail(*_):
        raise Stop

    handle = unet.conv_out.register_forward_pre_hook(fail) if when == "within" else None
    with pytest.raises(Stop), AttentionRecorder(select_layers(unet, "reference")):
        call(unet)
        raise Stop
    if handle:
        handle.remove()
    assert not hooks(unet)


@pytest.mark.parametrize("size", [(16, 16), (12, 20), (9, 16), (16, 24), (18, 10)])
def test_every_aspect_ratio(unet, size):
    with torch.no_grad(), AttentionRecorder(select_layers(unet, "reference"), stop=True) as recorder:
        recorder.run(lambda: call(unet, size))
    height, width = map_size(size, recorder.probabilities().shape[1])
    assert (height, width) == (-(-size[0] // 4), -(-size[1] // 4))


def test_a_size_without_such_a_level_is_an_error():
    with pytest.raises(ValueError, match="16 x 16 latent has 50 pixels"):
        map_size((16, 16), 50)


@pytest.mark.parametrize("make", [sdxl_unet, sd15_unet, partial(LdmUNet, depth=4)])
def test_layers_of_different_resolutions_are_refused_by_name_and_no_others(make):
    """What is chosen may be averaged: the layers' own maps have one size."""
    unet, sizes = make(), {}
    for name, layer in cross_attention_layers(unet).items():
        layer.to_q.register_forward_pre_hook(lambda _, inputs, name=name: sizes.update({name: inputs[0].shape[1]}))
    with torch.no_grad():
        text = torch.zeros(1, 7, WIDTH)
        unet(torch.zeros(1, 4, 16, 16), *([] if isinstance(unet, LdmUNet) else [801]), text)
    for pattern in ("*", "down_blocks*", "up_blocks*", "mid_block*", "up_blocks.0*, mid_block*", "*attentions.0*"):
        chosen = [name for name in sizes if any(fnmatchcase(name, one.strip()) for one in pattern.split(","))]
        if len({sizes[name] for name in chosen}) == 1:
            assert list(select_layers(unet, pattern)) == chosen
        elif chosen:
            with pytest.raises(ValueError, match=r"^layers = '.*different resolutions cannot be averaged") as refused:
                select_layers(unet, pattern)
            assert len(str(refused.value)) < 500


def test_an_error_about_layers_names_some_of_the_models_and_not_all(unet):
    with pytest.raises(ValueError, match=r"layers = 'foo': .* and \d+ more$") as refused:
        select_layers(unet, "foo")
    assert str(refused.value).count("transformer_blocks") == 3


def test_maps_of_different_sizes_are_not_averaged(unet):
    layers = {name: layer for name, layer in cross_attention_layers(unet).items() if name.startswith("up_blocks")}
    with torch.no_grad(), AttentionRecorder(layers) as recorder:
        call(unet)
    with pytest.raises(ValueError, match="different resolutions"):
        recorder.probabilities()


def test_a_layer_that_was_not_called_is_named(unet):
    with AttentionRecorder(select_layers(unet, "middle")) as recorder:
        pass
    with pytest.raises(RuntimeError, match=r"mid_block\.attentions\.0"):
        recorder.probabilities()


def test_frozen_restores_exactly_what_was(unet):
    unet.conv_in.weight.requires_grad_(False)
    before = [p.requires_grad for p in unet.parameters()]
    with pytest.raises(KeyError), frozen(unet):
        assert not any(p.requires_grad for p in unet.parameters())
        raise KeyError
    assert [p.requires_grad for p in unet.parameters()] == before
