from __future__ import annotations

import contextlib
import gc
import weakref

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from tests.ldm_unet import LdmUNet
from tome_ext.method.attention import AttentionRecorder
from tome_ext.method.backward.checkpointing import checkpointed, transformer_blocks
from tome_ext.method.layers import cross_attention_layers, select_layers


def diffusers_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=24,
        attention_head_dim=4,
        transformer_layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )


UNETS = {
    "diffusers": diffusers_unet,
    "ldm": LdmUNet,
    "ldm, residuals in place": lambda: LdmUNet(in_place=True),
}


@pytest.fixture(params=UNETS)
def unet(request):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return UNETS[request.param]().eval().requires_grad_(False)


def call(unet, x: Tensor, context: Tensor) -> Tensor:
    if isinstance(unet, UNet2DConditionModel):
        return unet(x, torch.tensor(500.0), context).sample
    return unet(x, context)


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 4, 8, 8, generator=generator), torch.randn(2, 7, 24, generator=generator)


def forwards(unet) -> list:
    return [(id(module), module.__dict__.get("forward")) for module in unet.modules()]


def hooks(unet) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in unet.modules())


def gradient_of_result(unet, x, context, inside):
    leaf = context.clone().requires_grad_()
    with inside:
        result = call(unet, x, leaf)
        (gradient,) = torch.autograd.grad(result.square().sum(), [leaf])
    return result.detach(), gradient


def in_place(unet) -> bool:
    return isinstance(unet, LdmUNet) and unet.input_blocks[1][1].transformer_blocks[0].in_place


@contextlib.contextmanager
def residuals_not_in_place(unet):
    """For what is compared with: autograd refuses residuals added in place."""
    blocks = [block for block in transformer_blocks(unet) if getattr(block, "in_place", False)]
    for block in blocks:
        block.in_place = False
    yield
    for block in blocks:
        block.in_place = True


def test_the_blocks_are_found_by_what_they_are_made_of(unet):
    assert [type(module).__name__ for module in transformer_blocks(unet)] == ["BasicTransformerBlock"] * 8


def test_result_and_gradient_are_the_same(unet, inputs):
    result, gradient = gradient_of_result(unet, *inputs, residuals_not_in_place(unet))
    again, checkpointed_gradient = gradient_of_result(unet, *inputs, checkpointed(unet))
    torch.testing.assert_close(again, result, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(checkpointed_gradient, gradient, rtol=1e-6, atol=1e-6)
    assert gradient.abs().max() > 1e-3


def test_less_is_saved_and_more_is_computed(unet, inputs):
    calls = []
    layers = cross_attention_layers(unet).values()
    handles = [layer.to_q.register_forward_hook(lambda *_: calls.append(1)) for layer in layers]

    def saved(inside) -> int:
        sizes: dict[int, int] = {}

        def pack(tensor):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with inside, torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            call(unet, inputs[0], inputs[1].clone().requires_grad_())
        return sum(sizes.values())

    assert saved(checkpointed(unet)) < 0.7 * saved(residuals_not_in_place(unet))
    calls.clear()
    gradient_of_result(unet, *inputs, checkpointed(unet))
    assert len(calls) == 2 * len(layers)
    for handle in handles:
        handle.remove()


def test_the_blocks_left_alone_are_not_computed_again(unet, inputs):
    last = list(cross_attention_layers(unet).values())[-1]
    calls = []
    handle = last.to_q.register_forward_hook(lambda *_: calls.append(1))
    gradient_of_result(unet, *inputs, checkpointed(unet, except_for=[] if in_place(unet) else [last]))
    assert len(calls) == (2 if in_place(unet) else 1)
    handle.remove()


@pytest.mark.parametrize("stop", [False, True])
def test_recorded_maps_have_the_same_gradient_and_are_recorded_once(unet, inputs, stop):
    layers = select_layers(unet, "*transformer_blocks.1")
    layers = {name: layers[name] for name in list(layers)[:2]}

    def recorded(inside):
        leaf = inputs[1].clone().requires_grad_()
        with inside, AttentionRecorder(layers, stop=stop) as recorder:
            recorder.run(lambda: call(unet, inputs[0], leaf))
            maps = recorder.probabilities()
            # Within the recorder, so that the recomputation meets its hooks.
            (gradient,) = torch.autograd.grad(maps.square().sum(), [leaf])
            assert torch.equal(recorder.probabilities(), maps)
        return maps.detach(), gradient

    maps, gradient = recorded(residuals_not_in_place(unet))
    again, checkpointed_gradient = recorded(checkpointed(unet))
    torch.testing.assert_close(again, maps, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(checkpointed_gradient, gradient, rtol=1e-6, atol=1e-7)
    assert gradient.abs().max() > 1e-6


def test_everything_is_as_before_on_exit(unet, inputs):
    before, count = forwards(unet), hooks(unet)
    with checkpointed(unet):
        assert forwards(unet) != before
    assert forwards(unet) == before
    with contextlib.suppress(KeyError), checkpointed(unet):
        raise KeyError
    assert forwards(unet) == before
    assert hooks(unet) == count


def test_a_forward_that_someone_else_put_there_is_used_and_put_back(unet, inputs):
    block = transformer_blocks(unet)[-1]
    original, calls = block.forward, []

    def theirs(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    block.forward = theirs
    gradient_of_result(unet, *inputs, checkpointed(unet))
    assert calls == [1, 1]
    assert block.__dict__["forward"] is theirs


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("CUDA out of memory")])
def test_an_error_within_a_block_leaves_no_hook_on_saved_tensors(unet, inputs, error):
    def fail(*_):
        raise error

    block = transformer_blocks(unet)[0]
    handle = block.ff.register_forward_hook(fail)
    with pytest.raises(type(error) if isinstance(error, Exception) else error) as caught:
        gradient_of_result(unet, *inputs, checkpointed(unet))
    handle.remove()
    x = torch.ones(3, requires_grad=True)
    product = x * x  # while the error, and with it every frame of the pass, is still held
    assert product.grad_fn._saved_self is x
    assert caught.value is not None


def test_without_gradients_nothing_is_added(unet, inputs):
    with torch.no_grad(), checkpointed(unet):
        result = call(unet, *inputs)
    with torch.no_grad():
        assert torch.equal(call(unet, *inputs), result)


def test_a_pass_that_was_ended_keeps_nothing_of_its_last_block(unet, inputs):
    layers = select_layers(unet, "middle")
    last = list(layers)[-1]
    block = next(b for b in transformer_blocks(unet) if getattr(b, "attn2", None) is layers[last])
    inner = []
    handle = block.attn1.to_q.register_forward_hook(lambda *call: inner.append(weakref.ref(call[2].untyped_storage())))
    leaf = inputs[1].clone().requires_grad_()
    gc.disable()  # what only a cycle keeps would be kept until some later time
    try:
        with checkpointed(unet), AttentionRecorder(layers, stop=True) as recorder:
            recorder.run(lambda: call(unet, inputs[0], leaf))
            maps = recorder.probabilities()
        assert [storage() for storage in inner] == [None]
        assert maps.requires_grad
    finally:
        gc.enable()
        handle.remove()
