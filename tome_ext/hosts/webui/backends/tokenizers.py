"""Where a loaded model keeps the tokenizer that cuts a prompt into chunks; this tells text encoders apart."""

from __future__ import annotations

from typing import Any

_ENGINES = ("text_processing_engine", "text_processing_engine_l", "text_processing_engine_g")


def engine_tokenizer(model: Any) -> Any | None:
    """The first text processing engine of the model that has CLIP's chunks, as on Forge and Forge Neo; else None."""
    engines = (getattr(model, name, None) for name in _ENGINES)
    return next((engine for engine in engines if hasattr(engine, "tokenize_line")), None)


def stage_tokenizer(model: Any) -> Any | None:
    """The first text encoder that has CLIP's chunks, as on AUTOMATIC1111, reForge and Forge Classic; else None."""
    stage = getattr(model, "cond_stage_model", None)
    found = (stage, *getattr(stage, "embedders", ()))
    return next((one for one in found if hasattr(one, "tokenize_line")), None)
