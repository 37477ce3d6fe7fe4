"""BLIP-VQA as T2I-CompBench asks it: "{chunk}?" for each noun chunk, the probability of yes for the first answer token.

Protocol (T2I-CompBench, attribute binding): probability of yes over yes and no, multiplied over the chunks of the
prompt, averaged over the images.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

import torch
from PIL import Image
from torch import Tensor

# Chunks that T2I-CompBench leaves out, spelt as there: words of place that are no things.
_PLACES = frozenset({"top", "the side", "the left", "the right"})
_SPACY = "en_core_web_sm"


class BlipQuestions:
    """A BLIP model for visual questions, and its processor; ``model_id`` is a folder or a hub id."""

    def __init__(self, model: Any, processor: Any, device: torch.device) -> None:
        self._model, self._processor, self._device = model.eval().to(device), processor, device
        self._yes, self._no = (self._token(word) for word in ("yes", "no"))

    @classmethod
    def open(cls, model_id: str, device: torch.device) -> BlipQuestions:
        """Load the model; only safetensors files are opened."""
        from transformers import BlipForQuestionAnswering, BlipProcessor

        model = BlipForQuestionAnswering.from_pretrained(model_id, use_safetensors=True)
        return cls(model, BlipProcessor.from_pretrained(model_id), device)

    def _token(self, word: str) -> int:
        ids = self._processor.tokenizer(word, add_special_tokens=False).input_ids
        return int(ids[0])

    @torch.no_grad()
    def yes(self, image: Image.Image, question: str) -> float:
        """The probability of yes over yes and no for the first answer token."""
        given = self._processor(images=image, text=question, return_tensors="pt").to(self._device)
        first, second = self._logits(given)[[self._yes, self._no]].double().tolist()
        return 1 / (1 + math.exp(second - first))

    def _logits(self, given: Any) -> Tensor:
        """The decoder's logits [V] for the first token of the answer."""
        model = self._model
        pixels = model.vision_model(pixel_values=given["pixel_values"])[0]
        seen = torch.ones(pixels.shape[:-1], dtype=torch.long, device=self._device)
        question = model.text_encoder(
            input_ids=given["input_ids"],
            attention_mask=given["attention_mask"],
            encoder_hidden_states=pixels,
            encoder_attention_mask=seen,
        )[0]
        start = torch.full((1, 1), model.decoder_start_token_id, dtype=torch.long, device=self._device)
        answer = model.text_decoder(
            input_ids=start,
            encoder_hidden_states=question,
            encoder_attention_mask=given["attention_mask"],
        )
        logits: Tensor = answer.logits[0, -1]
        return logits

    def score(self, image: Image.Image, prompt: str) -> float:
        """The product of the probabilities over the prompt's noun chunks."""
        return math.prod(self.yes(image, question) for question in questions(prompt))


def questions(prompt: str) -> list[str]:
    """One question per noun chunk, in order: "a red book?", "a yellow vase?"."""
    return [f"{chunk}?" for chunk in noun_chunks(prompt)]


def noun_chunks(prompt: str) -> list[str]:
    """The prompt's noun chunks by spaCy, as in the official protocol; without it, the prompt's parts."""
    nlp = _spacy()
    chunks = _parts(prompt) if nlp is None else [chunk.text for chunk in nlp(prompt).noun_chunks]
    kept = [chunk for chunk in chunks if chunk not in _PLACES]
    return kept or [prompt.strip().rstrip(".")]


def chunker() -> str:
    """What makes the noun chunks on this machine."""
    if _spacy() is None:
        return f"noun chunks by splitting at words and commas, as spaCy's {_SPACY} is not installed"
    return f"noun chunks by spaCy's {_SPACY}"


@lru_cache(maxsize=1)
def _spacy() -> Any | None:
    """The official protocol's spaCy pipeline, loaded once; None where it is not installed."""
    try:
        import spacy

        return spacy.load(_SPACY)
    except (ImportError, OSError):
        return None


def _parts(prompt: str) -> list[str]:
    parts = re.split(r"\s*(?:,|\band\b|\bon\b|\bwith\b|\bnext to\b|\bbeside\b)\s*", prompt.strip().rstrip("."))
    return [part for part in parts if part]
