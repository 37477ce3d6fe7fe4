from __future__ import annotations

import pytest
from torch import nn

from tome_ext.embedded.counts import counts
from tome_ext.method.layers import cross_attention_layers, select_layers

# Where transformers stand in the WebUI's networks, and how deep they are.
SDXL = {
    **{f"input_blocks.{block}.1": 2 for block in (4, 5)},
    **{f"input_blocks.{block}.1": 10 for block in (7, 8)},
    "middle_block.1": 10,
    **{f"output_blocks.{block}.1": 10 for block in (0, 1, 2)},
    **{f"output_blocks.{block}.1": 2 for block in (3, 4, 5)},
}
SD15 = {
    **{f"input_blocks.{block}.1": 1 for block in (1, 2, 4, 5, 7, 8)},
    "middle_block.1": 1,
    **{f"output_blocks.{block}.1": 1 for block in range(3, 12)},
}


def network(transformers, levels, res_blocks):
    """A network with ldm's module names and nothing in it."""
    unet = nn.Module()
    unet.channel_mult, unet.num_res_blocks = [1] * levels, res_blocks
    for place, depth in transformers.items():
        for number in range(depth):
            path = [*place.split("."), "transformer_blocks", str(number), "attn2"]
            module = unet
            for name in path:
                if name not in module._modules:
                    module.add_module(name, nn.Module())
                module = module._modules[name]
    return unet


def _paths(unet, layers):
    names = {module: path for path, module in unet.named_modules()}
    return {name: names[module] for name, module in layers.items()}


@pytest.mark.parametrize("res_blocks", [2, "by level"])
@pytest.mark.parametrize(("name", "transformers", "levels"), [("sdxl", SDXL, 3), ("sd15", SD15, 4)])
def test_the_layers_of_the_webui_s_networks_have_the_names_of_diffusers(name, transformers, levels, res_blocks):
    """``counts`` has the names that diffusers' networks of the same kind gave."""
    unet = network(transformers, levels, [2] * levels if res_blocks == "by level" else res_blocks)
    own = [f"{place}.transformer_blocks.{k}.attn2" for place, depth in transformers.items() for k in range(depth)]
    assert _paths(unet, cross_attention_layers(unet)) == dict(zip(counts()[name]["layers"], own, strict=True))


def test_the_authors_layers_in_the_webui_s_network():
    unet = network(SDXL, 3, 2)
    assert list(_paths(unet, select_layers(unet, "reference")).values()) == [
        f"output_blocks.1.1.transformer_blocks.{number}.attn2" for number in (1, 2, 3)
    ]


def test_levels_may_have_different_numbers_of_blocks():
    """The encoder has one block more than ``num_res_blocks`` says to make it smaller, the decoder one more as such."""
    places = {"input_blocks.3.1": 1, "input_blocks.4.1": 1, "output_blocks.3.1": 1, "output_blocks.4.1": 1}
    assert list(cross_attention_layers(network(places, 2, [1, 2]))) == [
        "down_blocks.1.attentions.0.transformer_blocks.0",
        "down_blocks.1.attentions.1.transformer_blocks.0",
        "up_blocks.1.attentions.0.transformer_blocks.0",
        "up_blocks.1.attentions.1.transformer_blocks.0",
    ]
