"""The numbers of CLIP's vocabulary and of its chunks, in one place."""

from __future__ import annotations

# Start and end of a text, and the positions of a chunk, start and end included.
BOS, EOT, CHUNK = 49406, 49407, 77
