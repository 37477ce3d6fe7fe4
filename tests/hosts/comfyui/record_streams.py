"""Records ComfyUI's token streams of some prompts for test_text.py. Run with ComfyUI's Python in its folder:

PYTHONPATH=. python CHECKOUT/tests/hosts/comfyui/record_streams.py CHECKOUT/tests/hosts/comfyui/streams.json
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

PROMPTS = [
    "a red cat and a blue dog",
    "a cat wearing sunglasses and a dog wearing a hat",
    "a (red:1.3) cat and a ((blue)) dog",
    "((red:1.2) cat:0.8) and a dog with a (big hat)",
    "a (red cat and a (blue) dog",
    "a red) cat and a (blue dog)",
    r"a red cat \(cartoon\) and a (blue \(dark\):1.2) dog",
    "a turquoise-ish axolotl and a crimson kimono-clad samurai",
    "a red cat, embedding:zqone, and a blue dog",
    "embedding:zqthree a red cat and a blue dog",
    "a red cat (embedding:zqthree:1.2) and a blue dog",
    "a red cat\nembedding:zqone\nand a blue dog",
    "a red cat embedding:zqmissing and a blue dog",
    "a red cat embedding:zqmissing, and a blue dog",
    "a red cat,embedding:zqone and a blue dog",
    "tree " * 73 + "a red cat and a blue dog",
    "tree " * 70 + "embedding:zqthree a red cat and a blue dog",
    "tree " * 74 + "a red axolotl and a blue dog",
    "tree " * 160 + "a red cat and a blue dog",
    "a [red:green:0.5] cat and a blue dog BREAK a tree <lora:x:1>",
    "Ein rötlicher Käse, ein blauer Hund 🐕 and a red cat",
    "red cat, blue dog, 2girls, (long hair:1.1), masterpiece",
    "a red cat embedding:zqother and a blue dog",
    "",
]


def main() -> None:
    import comfy.options

    comfy.options.enable_args_parsing()
    target, sys.argv[1:] = sys.argv[1], ["--cpu"]
    import comfy.sdxl_clip

    with tempfile.TemporaryDirectory() as folder:
        for name, vectors in (("zqone", 1), ("zqthree", 3)):
            values = {"clip_l": torch.zeros(vectors, 768), "clip_g": torch.zeros(vectors, 1280)}
            save_file(values, f"{folder}/{name}.safetensors")
        save_file({"emb_params": torch.zeros(2, 1024)}, f"{folder}/zqother.safetensors")
        tokenizer = comfy.sdxl_clip.SDXLTokenizer(embedding_directory=folder)
        # What a CLIP tells of an embedding's presence is a stream as well.
        names = ("zqone", "zqthree", "zqmissing", "zqmissing,", "zqother")
        texts = [*PROMPTS, *(f"embedding:{name}" for name in names)]
        streams = {text: tokenizer.tokenize_with_weights(text, return_word_ids=True) for text in texts}
    lines = [f"{json.dumps(text)}: {json.dumps(_plain(stream))}" for text, stream in streams.items()]
    Path(target).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _plain(stream: dict) -> dict:
    """Each token as its number, or a vector as its width below zero; weights and words where they are not 1 and 0."""
    return {
        name: [
            [
                [-value.shape[-1] if isinstance(value, torch.Tensor) else int(value), round(float(weight), 4), word]
                for value, weight, word in row[: _length(row)]
            ]
            for row in rows
        ]
        for name, rows in stream.items()
    }


def _length(row: list) -> int:
    """Without the padding, which is the encoder's own: up to the end token."""
    return next(at for at, token in enumerate(row) if at and token[0] is not None and _is_end(token[0])) + 1


def _is_end(value: object) -> bool:
    return not isinstance(value, torch.Tensor) and int(value) == 49407


if __name__ == "__main__":
    main()
