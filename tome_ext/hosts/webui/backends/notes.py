"""What a host notes of the texts that it encodes, for the infotext and the comments under the image."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

# The module, the object in it (empty: the module itself) and the attributes, on every host that has them.
_NOTES = (
    ("modules.sd_hijack", "model_hijack", ("extra_generation_params", "comments")),  # AUTOMATIC1111, reForge, Classic
    ("backend.text_processing.classic_engine", "", ("last_extra_generation_params",)),  # Forge
    ("backend.args", "dynamic_args", ("last_extra_generation_params",)),  # Forge Neo
)


@contextlib.contextmanager
def infotext_undisturbed() -> Iterator[None]:
    """Texts of our own may be encoded within: what the host notes of them is forgotten afterwards.

    A host may hold its notes elsewhere as well: they stay the same objects, with the same content.
    """
    kept = [(holder, name, notes, notes.copy()) for holder, name, notes in _found()]
    try:
        yield
    finally:
        for holder, name, notes, before in kept:
            setattr(holder, name, notes)
            notes.clear()
            if isinstance(notes, dict):
                notes.update(before)
            else:
                notes.extend(before)


def _found() -> Iterator[tuple[Any, str, Any]]:
    for module, path, names in _NOTES:
        loaded = sys.modules.get(module)
        holder = getattr(loaded, path, None) if path else loaded
        for name in names:
            notes = getattr(holder, name, None)
            if isinstance(notes, (dict, list)):
                yield holder, name, notes
