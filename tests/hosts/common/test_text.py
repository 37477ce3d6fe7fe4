"""A prompt as an encoder sees it: what is encoded, and with which weights."""

from __future__ import annotations

import pytest
import torch

from tome_ext.hosts.common.text import Encoding, UnsupportedText, encode_prompt, substitutes_ends
from tome_ext.prompts import read_prompt
from tome_ext.prompts.host_syntax import Mapped
from tome_ext.prompts.host_syntax.a1111 import fragments
from tome_ext.settings import Settings, preset
from tome_ext.tokens.bpe import encode
from tome_ext.tokens.vocabulary import BOS, EOT

SETTINGS = preset("balanced").replace(parser="builtin", min_objects=1, ets="on")


class Encoder:
    """An encoder whose tokens are 1 times their weight, as the WebUI weighs emphasis; notes what it encodes."""

    def __init__(self, syntax="a1111", chunk_length=77, problem=""):
        self.syntax, self.chunk_length, self.problem = syntax, chunk_length, problem
        self.texts = []

    def chunks(self, text):
        if self.problem:
            raise UnsupportedText(self.problem)
        return [[BOS, *self._tokens(text), EOT, *[EOT] * (75 - len(self._tokens(text)))]]

    def ids(self, text):
        return encode(text)

    def encode(self, text):
        self.texts.append(text)
        weights = [weight for part, weight in self._parts(text) for _ in encode(part)]
        tokens = torch.ones(77, 1)
        tokens[1 : 1 + len(weights), 0] = torch.tensor(weights)
        return Encoding(tokens, torch.ones(2))

    def _parts(self, text):
        if self.syntax == "plain":
            return [(text, 1.0)]
        return [(part.mapped.text, part.weight) for part in fragments(Mapped.of(text))]

    def _tokens(self, text):
        return [token for part, _ in self._parts(text) for token in encode(part)]


def phrases(text, encoder=None, **more):
    """The weights of the tokens of each phrase of ``text``."""
    encoder = encoder or Encoder()
    prompt = encode_prompt(encoder, text, SETTINGS.replace(**more), refine=True)
    return prompt, [[round(float(one), 3) for one in phrase[1:5, 0]] for phrase in prompt.phrases]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red hat", [1, 1, 1, 1]),
        ("(red:1.6) hat", [1.6, 1, 1, 1]),
        ("(green:-1) hat", [-1, 1, 1, 1]),
        ("a ((red)) hat", [1, 1.21, 1, 1]),
        ("a [red] hat", [1, 0.909, 1, 1]),
        ("(a red hat:1.3)", [1.3, 1.3, 1.3, 1]),
        ("a red (hat:0.5)", [1, 1, 0.5, 1]),
        ("<lora:x:0.5> a red hat", [1, 1, 1, 1]),
    ],
)
def test_a_phrase_has_the_weights_of_its_words(text, expected):
    assert phrases(text)[1] == [expected]


def test_each_phrase_has_its_own_weights():
    assert phrases("(red:1.6) hat and a (blue:0.4) dog")[1] == [[1.6, 1, 1, 1], [1, 0.4, 1, 1]]


def test_brackets_are_no_emphasis_where_the_host_reads_none():
    encoder = Encoder("plain")
    prompt, _ = phrases("a red cat", encoder)
    assert prompt.reading.groups[0].encoded_phrase == "a red cat"
    assert all("\\" not in text for text in encoder.texts)


def test_without_refinement_no_phrase_is_encoded():
    encoder = Encoder()
    prompt = encode_prompt(encoder, "a red hat", SETTINGS, refine=False)
    assert (prompt.phrases, encoder.texts) == ((), ["a hat"])


def test_a_text_without_certain_positions_is_left_alone_and_the_reason_is_given():
    prompt, found = phrases("a red hat", Encoder(problem="two tokenizers"))
    assert found == []
    assert prompt.warnings == ["no object is bound: two tokenizers", "no objects to bind in this prompt"]


def test_chunks_of_another_length_are_refused_by_their_length():
    prompt, _ = phrases("a red hat", Encoder(chunk_length=248))
    assert "chunks of 248 tokens, not of 77" in prompt.warnings[0]


def test_a_clean_prompt_by_hand_is_the_one_that_is_encoded():
    encoder = Encoder()
    prompt = encode_prompt(encoder, "a red hat", SETTINGS, refine=False, clean="a thing")
    assert (prompt.reading.clean, encoder.texts) == ("a thing", ["a thing"])


@pytest.mark.parametrize(
    ("ets", "text", "expected"),
    [
        ("auto", "a red cat and a blue dog", False),
        ("auto", "a red cat and a dog wearing a hat", True),
        ("on", "a red cat and a blue dog", True),
        ("off", "a red cat and a dog wearing a hat", False),
    ],
)
def test_end_token_substitution_follows_the_kind_of_group(ets, text, expected):
    reading = read_prompt(text, parser="builtin")
    assert substitutes_ends(reading, Settings(ets=ets)) == expected
