"""The tokenizer on CLIP's vocabulary."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tome_ext.tokens.bpe import clean, encode, pieces


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", []),
        ("a cat", [320, 2368]),
        ("  A\n CAT ", [320, 2368]),
        ("!", [256]),
        ("a dog's", [320, 1929, 568]),
    ],
)
def test_known_tokens(text, ids):
    assert encode(text) == ids


def test_pieces_are_clips():
    text = "it's 8k, 1girl (é日)!! ½ a_b"
    assert [text[a:b] for a, b in pieces(text)] == [
        "it", "'s", "8", "k", ",", "1", "girl", "(", "é日", ")!!", "½", "a", "_", "b",
    ]  # fmt: skip


def test_cleaning_composes_lowers_and_closes_up():
    assert clean(" Cafe\u0301\t\nX ") == "café x"


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60))
def test_any_text_has_tokens_in_range(text):
    assert all(0 <= t < 49406 for t in encode(text))


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=40))
def test_same_as_transformers(text):
    assume("<|" not in text)  # transformers reads the typed name of a special token as that token
    transformers = pytest.importorskip("transformers")
    tokenizer = _transformers_tokenizer(transformers)
    assert encode(text) == tokenizer(text, add_special_tokens=False)["input_ids"]


_made = []


def _transformers_tokenizer(transformers):
    """The slow tokenizer of transformers on the same vocabulary."""
    if not _made:
        import gzip
        import json
        import tempfile
        from pathlib import Path

        from tome_ext.tokens import bpe

        folder = Path(tempfile.mkdtemp())
        merges = gzip.decompress(bpe._FILE.read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
        numbers = bpe._tables()[0] | {"<|startoftext|>": 49406, "<|endoftext|>": 49407}
        (folder / "vocab.json").write_text(json.dumps(numbers))
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
        _made.append(transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")))
    return _made[0]
