"""Where the words of a prompt stand in the text encoder's tokens."""

from __future__ import annotations

from tome_ext.tokens.chunks import EOT, Chunk, Fix, chunk_of, chunks_of_ids, first_eot
from tome_ext.tokens.locate import Located, LocatedGroup, locate

__all__ = ["EOT", "Chunk", "Fix", "Located", "LocatedGroup", "chunk_of", "chunks_of_ids", "first_eot", "locate"]
