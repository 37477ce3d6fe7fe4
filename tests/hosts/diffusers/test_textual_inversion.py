"""Embeddings of several vectors: the prompt's tokens are those of the pipeline, which writes them out."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.hosts.diffusers.sampling import bind, given, make, quiet, settings_of
from tome_ext.hosts.diffusers import attach
from tome_ext.hosts.diffusers.encoding import encode_with

PROMPT = "<x> a red book and a yellow vase"


@pytest.fixture(scope="module", params=["sdxl", "sd15"])
def inverted(request):
    """A pipeline with an embedding ``<x>`` of three vectors."""
    pipe = own_text(request.getfixturevalue(request.param))
    for suffix in ("", "_2") if request.param == "sdxl" else ("",):
        learn(pipe, suffix)
    return pipe


def own_text(pipe):
    names = [name for name in pipe.components if name.startswith(("tokenizer", "text_encoder"))]
    own = {name: copy.deepcopy(pipe.components[name]) for name in names}
    more = {"add_watermarker": False} if "text_encoder_2" in names else {"requires_safety_checker": False}
    return quiet(type(pipe)(**{**pipe.components, **own}, **more))


def learn(pipe, suffix):
    encoder = getattr(pipe, f"text_encoder{suffix}")
    vectors = torch.randn(3, encoder.config.hidden_size, generator=torch.Generator().manual_seed(5))
    more = {"text_encoder": encoder, "tokenizer": getattr(pipe, f"tokenizer{suffix}")}
    pipe.load_textual_inversion(vectors, token="<x>", **more)


def test_words_stand_where_the_encoder_has_them(inverted):
    groups = encode_with(inverted, PROMPT, settings_of("fast")).located.groups
    tokenizer = inverted.tokenizer
    ids = tokenizer(inverted.maybe_convert_prompt(PROMPT, tokenizer)).input_ids
    words = [tokenizer.convert_ids_to_tokens(ids[group.noun[0][1]]) for group in groups]
    assert words == ["book</w>", "vase</w>"]
    assert [tokenizer.convert_ids_to_tokens(ids[group.related[0][0][1]]) for group in groups] == [
        "red</w>",
        "yellow</w>",
    ]


def test_the_embeddings_vectors_stay_as_they_are(inverted):
    own, handle = given(inverted)
    try:
        with attach(inverted, settings_of("fast"), PROMPT) as tome:
            final, last = given(inverted)
            make(inverted, [PROMPT], [1], steps=1)
            last.remove()
    finally:
        handle.remove()
    before, after = own[0][1][-1], final[0][1][-1]
    assert tome.report[0].failure == ""
    assert torch.equal(before[:5], after[:5])  # start, three vectors, "a"
    assert not torch.equal(before[5], after[5])


def test_an_embedding_that_only_one_text_encoder_knows(sdxl):
    pipe = own_text(sdxl)
    learn(pipe, "")
    plain = make(pipe, [PROMPT], [1], steps=1)
    images, report = bind(pipe, settings_of("fast"), [PROMPT], [1], steps=1)
    assert (images == plain).all()
    assert "the two text encoders have different tokens for this prompt" in report[0].warnings[0]
    assert not report[0].bound
