"""The byte-pair tokenizer of CLIP, for tools that run without a host and for tests.

Hosts and diffusers pipelines bring a tokenizer of their own; :func:`tome_ext.tokens.locate` takes theirs.
This one agrees with the tokenizer of transformers that AUTOMATIC1111's WebUI uses for CLIP-L.
"""

from __future__ import annotations

import gzip
import unicodedata
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

_FILE = Path(__file__).parents[1] / "embedded" / "bpe_simple_vocab_16e6.txt.gz"
_CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")


@lru_cache(maxsize=1)
def _byte_letters() -> dict[int, str]:
    """A printable letter for each byte, as in GPT-2's and CLIP's vocabularies."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    letters = {b: chr(b) for b in printable}
    for byte in range(256):
        if byte not in letters:
            letters[byte] = chr(256 + len(letters) - len(printable))
    return letters


@lru_cache(maxsize=1)
def _tables() -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """Token numbers, and the rank of each merge."""
    lines = gzip.decompress(_FILE.read_bytes()).decode("utf-8").split("\n")
    merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
    order = {b: _byte_letters()[b] for b in _printable_first()}
    single = list(order.values())
    vocabulary = [*single, *(c + "</w>" for c in single), *("".join(m) for m in merges)]
    ranks = {(m[0], m[1]): k for k, m in enumerate(merges)}
    return {token: k for k, token in enumerate(vocabulary)}, ranks


def _printable_first() -> list[int]:
    letters = _byte_letters()
    return sorted(letters, key=lambda b: (letters[b] != chr(b), b))


@lru_cache(maxsize=8192)
def _word(word: str) -> tuple[int, ...]:
    """The token numbers of one word, mark or digit."""
    numbers, ranks = _tables()
    letters = _byte_letters()
    parts = [letters[b] for b in word.encode("utf-8", "surrogatepass")]
    parts[-1] += "</w>"
    while len(parts) > 1:
        best = min(pairwise(parts), key=lambda pair: ranks.get(pair, 1 << 30))
        if best not in ranks:
            break
        merged: list[str] = []
        for part in parts:
            if merged and (merged[-1], part) == best:
                merged[-1] += part
            else:
                merged.append(part)
        parts = merged
    return tuple(numbers[p] for p in parts)


def pieces(text: str) -> list[tuple[int, int]]:
    """Where CLIP's words stand in a text: runs of letters, single digits, runs of other marks."""
    out: list[tuple[int, int]] = []
    at = 0
    while at < len(text):
        kind = _class(text[at])
        contraction = next((c for c in _CONTRACTIONS if text.startswith(c, at)), "")
        end = at + (len(contraction) or 1)
        while not contraction and kind in "LM" and end < len(text) and _class(text[end]) == kind:
            end += 1
        if kind != " ":
            out.append((at, end))
        at = end
    return out


def _class(char: str) -> str:
    if char.isalpha():
        return "L"
    if char.isnumeric():
        return "N"
    return " " if char.isspace() else "M"


def clean(text: str) -> str:
    """The text as the tokenizer sees it: composed characters, single spaces, lower case."""
    return " ".join(unicodedata.normalize("NFC", text).split()).lower()


def encode(text: str) -> list[int]:
    """Token numbers of a text, without start and end tokens."""
    cleaned = clean(text)
    return [token for a, b in pieces(cleaned) for token in _word(cleaned[a:b])]
