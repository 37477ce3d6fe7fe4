"""BLIP-VQA's protocol, against probabilities computed in another way with a small random BLIP."""

from __future__ import annotations

import math
import sys
import types

import pytest
import torch
from PIL import Image

from tome_ext.research.judging import blip as module
from tome_ext.research.judging.blip import BlipQuestions, chunker, noun_chunks, questions

WORDS = ["a", "red", "blue", "book", "vase", "yellow", "and", "cat", "dog", "?", "yes", "no", "the", "is"]


@pytest.fixture(scope="module")
def blip(tmp_path_factory):
    from transformers import BertTokenizer, BlipConfig, BlipForQuestionAnswering, BlipImageProcessor, BlipProcessor

    folder = tmp_path_factory.mktemp("blip")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    tokenizer = BertTokenizer(str(folder / "vocab.txt"))
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    text = {**shape, "vocab_size": len(vocabulary), "encoder_hidden_size": 16, "bos_token_id": 5, "pad_token_id": 0}
    config = BlipConfig(
        text_config={**text, "sep_token_id": 3, "max_position_embeddings": 32},
        vision_config={**shape, "image_size": 32, "patch_size": 16},
        projection_dim=16,
    )
    torch.manual_seed(0)
    model = BlipForQuestionAnswering(config).eval()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    processor = BlipProcessor(BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer)
    return BlipQuestions(model, processor, torch.device("cpu")), model, processor, vocabulary


def picture(seed):
    generator = torch.Generator().manual_seed(seed)
    return Image.fromarray((torch.rand(32, 32, 3, generator=generator) * 255).byte().numpy())


@torch.no_grad()
def by_generation(model, processor, vocabulary, image, question):
    """Yes over yes and no from the library's own generation: its scores of the first token."""
    given = processor(images=image, text=question, return_tensors="pt")
    pixels = model.vision_model(given["pixel_values"])[0]
    encoded = model.text_encoder(
        given["input_ids"], attention_mask=given["attention_mask"], encoder_hidden_states=pixels
    )[0]
    start = torch.full((1, 1), model.config.text_config.bos_token_id)
    made = model.text_decoder.generate(
        input_ids=start,
        encoder_hidden_states=encoded,
        max_new_tokens=1,
        do_sample=False,
        output_scores=True,
        return_dict_in_generate=True,
        eos_token_id=3,
        pad_token_id=0,
    )
    chances = torch.softmax(made.scores[0][0].double(), -1)
    yes, no = (float(chances[vocabulary.index(word)]) for word in ("yes", "no"))
    return yes / (yes + no)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("question", ["a red book?", "the yellow vase?"])
def test_the_probability_is_yes_over_yes_and_no_of_the_first_token(blip, seed, question):
    asked, model, processor, vocabulary = blip
    found = asked.yes(picture(seed), question)
    assert 0.01 < found < 0.99
    assert found == pytest.approx(by_generation(model, processor, vocabulary, picture(seed), question), rel=1e-5)


def test_probabilities_depend_on_picture_and_question(blip):
    asked = blip[0]
    found = {asked.yes(picture(seed), question) for seed in (0, 1) for question in ("a red book?", "a blue dog?")}
    assert len(found) == 4


def test_the_score_is_the_product_over_the_chunks(blip):
    asked = blip[0]
    parts = [asked.yes(picture(0), question) for question in ("a red book?", "a yellow vase?")]
    assert asked.score(picture(0), "a red book and a yellow vase") == pytest.approx(math.prod(parts))


@pytest.fixture
def spacy(monkeypatch):
    """A stand-in whose noun chunks are what stands between bars; notes what is loaded."""
    loaded = []

    def load(name):
        loaded.append(name)
        return lambda text: types.SimpleNamespace(noun_chunks=[types.SimpleNamespace(text=t) for t in text.split("|")])

    monkeypatch.setitem(sys.modules, "spacy", types.SimpleNamespace(load=load))
    module._spacy.cache_clear()
    yield loaded
    module._spacy.cache_clear()


@pytest.fixture
def no_spacy(monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    module._spacy.cache_clear()
    yield
    module._spacy.cache_clear()


def test_without_spacy_chunks_are_the_prompts_parts_in_order(no_spacy):
    assert noun_chunks("a red book and a yellow vase") == ["a red book", "a yellow vase"]
    assert questions("a metallic car and a wooden desk.") == ["a metallic car?", "a wooden desk?"]
    assert chunker() == "noun chunks by splitting at words and commas, as spaCy's en_core_web_sm is not installed"


def test_spacys_model_is_loaded_once(spacy):
    assert [questions("a red book|a vase") for _ in range(3)] == [["a red book?", "a vase?"]] * 3
    assert chunker() == "noun chunks by spaCy's en_core_web_sm"
    assert spacy == ["en_core_web_sm"]


def test_the_chunks_that_are_left_out_are_the_official_ones(spacy):
    assert noun_chunks("top|a cat|the side|the left|the right") == ["a cat"]
    kept = "left|right|side|front|the front|the top|The left"
    assert noun_chunks(kept) == kept.split("|")
    assert noun_chunks("the side") == ["the side"]
