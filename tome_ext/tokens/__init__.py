"""Where the words of a prompt stand in the text encoder's tokens."""

from __future__ import annotations

from tome_ext.tokens.chunks import Chunk, Fix, chunk_of, chunks_of_ids, first_eot
from tome_ext.tokens.locate import Located, LocatedGroup, locate
from tome_ext.tokens.vocabulary import BOS, CHUNK, EOT

__all__ = [
    "BOS",
    "CHUNK",
    "EOT",
    "Chunk",
    "Fix",
    "Located",
    "LocatedGroup",
    "chunk_of",
    "chunks_of_ids",
    "first_eot",
    "locate",
]
