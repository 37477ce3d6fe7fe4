"""What a conditioning carries, and what the nodes of the host make of it."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.hosts.comfyui.standins import Clip
from tome_ext.hosts.comfyui.bound import KEY, bind, given_tokens
from tome_ext.hosts.comfyui.text import ClipEncoder, conditionings
from tome_ext.hosts.common.text import encode_prompt
from tome_ext.settings import preset

TEXT = "a red cat and a blue dog"


@pytest.fixture
def entry():
    clip, settings = Clip(), preset("balanced").replace(parser="builtin", ets="on")
    return bind(conditionings(clip, TEXT)[0], encode_prompt(ClipEncoder(clip), TEXT, settings, refine=True), settings)


def test_the_conditioning_itself_is_merged(entry):
    plain = conditionings(Clip(), TEXT)[0][0]
    assert entry[0].shape == plain.shape
    assert not torch.equal(entry[0], plain)
    assert torch.equal(entry[1][KEY].plain, plain[0])


def test_it_is_known_again(entry):
    assert entry[1][KEY].is_in(entry[0])
    assert entry[1][KEY].is_in(entry[0].half())
    assert entry[1][KEY].is_in(entry[0].expand(3, -1, -1))


def test_what_stands_behind_it_does_not_matter(entry):
    assert entry[1][KEY].is_in(torch.cat([entry[0], torch.ones_like(entry[0])], 1))


@pytest.mark.parametrize(
    "change",
    [
        torch.zeros_like,
        lambda tokens: tokens * 0.9,
        lambda tokens: tokens * 0.5 + conditionings(Clip(), "a tree")[0][0] * 0.5,
        lambda tokens: tokens[:, :40],
        lambda tokens: tokens.roll(1, dims=1),
        lambda tokens: tokens[..., :4],
        lambda tokens: torch.cat([tokens, torch.zeros_like(tokens)]),
    ],
    ids=["zeroed", "scaled", "averaged", "cut", "shifted", "narrower", "one of a batch"],
)
def test_a_changed_conditioning_is_noticed(entry, change):
    assert not entry[1][KEY].is_in(change(entry[0]))


def test_copies_of_a_conditioning_carry_the_same(entry):
    assert copy.deepcopy(entry[1])[KEY] is entry[1][KEY]


def test_the_pooled_vector_of_the_clean_prompt_takes_the_place_of_the_own():
    clip, settings = Clip(), preset("balanced").replace(parser="builtin", pooled="clean")
    prompt = encode_prompt(ClipEncoder(clip), TEXT, settings, refine=False)
    plain = [conditionings(clip, TEXT)[0][0], {"pooled_output": torch.zeros(1, 4)}]
    assert torch.equal(bind(plain, prompt, settings)[1]["pooled_output"], torch.ones(1, 4))


def test_a_conditioning_without_text_has_no_tokens():
    assert given_tokens({"model_conds": {}}) is None
    assert given_tokens({}) is None
