"""Recorded token streams of ComfyUI: every word where it stands, or left alone with a reason."""

from __future__ import annotations

import pytest
import torch

from tests.hosts.comfyui.standins import STREAMS, Clip
from tome_ext.hosts.comfyui.text import ClipEncoder, obstacle
from tome_ext.hosts.common.text import UnsupportedText, encode_prompt
from tome_ext.settings import preset
from tome_ext.tokens.bpe import encode

SETTINGS = preset("balanced").replace(parser="builtin", min_objects=1, ets="on")
TREES = "tree " * 73


def read(text, clip=None, **settings):
    return encode_prompt(ClipEncoder(clip or Clip()), text, SETTINGS.replace(**settings), refine=True)


def tokens_at(text, places):
    rows = STREAMS[text]["l"]
    return [rows[chunk][index][0] for chunk, index in places]


@pytest.mark.parametrize("text", [one for one in STREAMS if len(one.split()) > 3])
def test_the_tokens_of_each_word_are_at_its_positions(text):
    prompt = read(text)
    for group in prompt.located.groups:
        words = [(group.group.noun, group.noun), *zip(group.group.related, group.related, strict=True)]
        for span, places in words:
            if not span.text.startswith("embedding:"):
                assert tokens_at(text, places) == encode(span.text)
    if "zqmissing" not in text and "zqother" not in text and "🐕" not in text:
        assert prompt.located.groups or not prompt.reading.groups or "tree " * 160 in text


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a (red:1.3) cat and a ((blue)) dog", 2),
        ("((red:1.2) cat:0.8) and a dog with a (big hat)", 2),
        (r"a red cat \(cartoon\) and a (blue \(dark\):1.2) dog", 1),
        ("a red cat, embedding:zqone, and a blue dog", 2),
        ("embedding:zqthree a red cat and a blue dog", 2),
        ("a red cat (embedding:zqthree:1.2) and a blue dog", 2),
        (TREES + "a red cat and a blue dog", 2),
        ("tree " * 70 + "embedding:zqthree a red cat and a blue dog", 2),
    ],
)
def test_as_many_objects_are_bound(text, count):
    assert len(read(text).located.groups) == count


def test_words_behind_an_embedding_of_three_vectors_are_two_positions_further():
    text = "embedding:zqthree a red cat and a blue dog"
    cat = next(group for group in read(text).located.groups if group.group.noun.text == "cat")
    assert cat.noun == ((0, 6),)


def test_an_embedding_can_be_bound():
    prompt = read("a red cat (embedding:zqthree:1.2) and a blue dog", groups="zqthree: red")
    owner = next(group for group in prompt.located.groups if "zqthree" in group.group.noun.text)
    assert owner.noun == ((0, 4), (0, 5), (0, 6))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a red cat embedding:zqmissing and a blue dog", "there is no embedding 'zqmissing'"),
        ("a red cat embedding:zqmissing, and a blue dog", "there is no embedding 'zqmissing'"),
        ("a red cat embedding:zqother and a blue dog", "made for another model"),
    ],
)
def test_what_has_no_certain_place_is_left_alone_with_a_reason(text, reason):
    prompt = read(text)
    assert prompt.located.groups == ()
    assert any(reason in warning for warning in prompt.warnings)


def test_chunks_of_another_length_are_refused():
    prompt = read("a red cat and a blue dog", Clip(length=248))
    assert prompt.located.groups == ()
    assert any("chunks of 248 tokens" in warning for warning in prompt.warnings)


def test_text_encoders_that_disagree_are_refused():
    class Disagreeing(Clip):
        def tokenize(self, text, return_word_ids=False):
            made = super().tokenize(text)
            if len(made["g"][0]) > 3:
                made["g"][0].insert(1, (320, 1.0, 1))
            return made

    with pytest.raises(UnsupportedText, match="different tokens"):
        ClipEncoder(Disagreeing()).chunks("a red cat and a blue dog")


@pytest.mark.parametrize(("names", "fits"), [(("l",), True), (("h",), True), (("l", "g"), True), (("g",), True)])
def test_stable_diffusion_is_supported(names, fits):
    assert (obstacle(Clip(names)) == "") is fits


def test_others_are_refused_by_name():
    class Flux(Clip):
        def tokenize(self, text, return_word_ids=False):
            return {"l": [], "t5xxl": []}

    assert "l, t5xxl" in obstacle(Flux())


def test_scheduled_conditionings_have_encodings_of_their_own_and_each_text_is_encoded_once():
    clip, made = Clip(entries=2), {}
    first, second = (ClipEncoder(clip, entry, made).encode("a red cat") for entry in (0, 1))
    assert not torch.equal(first.tokens, second.tokens)
    assert second.vector[0] == 2
    assert len(clip.encoded) == 1


def test_encodings_made_under_inference_mode_take_part_in_gradients():
    with torch.inference_mode():
        made = ClipEncoder(Clip()).encode("a red cat")
    assert not made.tokens.is_inference()
