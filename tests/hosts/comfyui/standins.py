"""A CLIP that plays recorded token streams and gives every token an embedding of its own."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import torch

from tome_ext.tokens import CHUNK, EOT
from tome_ext.tokens.bpe import encode

STREAMS = json.loads((Path(__file__).parent / "streams.json").read_text(encoding="utf-8"))
WIDTH = 24


class Clip:
    """ComfyUI's CLIP for SDXL, or with other ``names`` for another model; ``length``: of its chunks.

    ``entries``: how many conditionings a text has, as where hooks schedule several.
    """

    def __init__(self, names=("l", "g"), length=CHUNK, entries=1):
        self.names, self.length, self.entries = names, length, entries
        self.encoded = []
        sizes = {"l": 768, "g": 1280, "h": 1024}
        bare = lambda text: {"input_ids": [49406, *encode(text), EOT]}  # noqa: E731
        self.tokenizer = SimpleNamespace(
            **{f"clip_{name}": SimpleNamespace(tokenizer=bare, embedding_size=sizes[name]) for name in "lgh"}
        )

    def tokenize(self, text, return_word_ids=False):
        stream = STREAMS.get(text) or self._simple(text)
        return {
            name: [self._row(row, name) for row in stream["l" if name not in "lg" else name]] for name in self.names
        }

    def _simple(self, text):
        tokens = [[49406, 1.0, 0], *([token, 1.0, 1] for token in encode(text)), [EOT, 1.0, 0]]
        return {"l": [tokens], "g": [tokens]}

    def _row(self, row, name):
        pad = 0 if name == "g" else EOT
        full = [*row, *[[pad, 1.0, 0]] * (self.length - len(row))]
        return [(torch.zeros(-value) if value < 0 else value, weight, word) for value, weight, word in full]

    def encode_from_tokens_scheduled(self, tokens):
        self.encoded.append(tokens)
        out = []
        for entry in range(self.entries):
            rows = [
                float(value) if not isinstance(value, torch.Tensor) else 0.5 for row in tokens["l"] for value, *_ in row
            ]
            numbers = torch.tensor(rows)[:, None] / 1000 + torch.arange(WIDTH) + entry
            out.append([torch.sin(numbers)[None], {"pooled_output": torch.full((1, 4), float(entry + 1))}])
        return out


def levels(steps: int) -> list[float]:
    """Evenly spaced over Stable Diffusion's schedule, and 0."""
    kept, found = 1.0, []
    for step in range(1000):
        kept *= 1 - (0.00085**0.5 + step / 999 * (0.012**0.5 - 0.00085**0.5)) ** 2
        found.append(((1 - kept) / kept) ** 0.5)
    return [*(found[round(999 * (1 - step / steps))] for step in range(steps)), 0.0]
