"""What a pipeline's tokenizers and text encoders make of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from tome_ext.hosts.common.text import EncodedPrompt, Encoding, UnsupportedText, encode_prompt
from tome_ext.method.backward.autograd import ordinary
from tome_ext.settings import Settings

# CLIP's own tokens; textual inversion adds further ones behind them, in each tokenizer by itself.
_VOCABULARY = 49408


class PipelineEncoder:
    """The text encoders of a pipeline, as the coming call uses them.

    ``clip_skip`` and ``lora_scale`` are those of the call (the latter from its ``cross_attention_kwargs``).
    """

    syntax = "plain"

    def __init__(self, pipe: Any, clip_skip: int | None = None, lora_scale: float | None = None) -> None:
        self._pipe = pipe
        self._options: dict[str, Any] = {"clip_skip": clip_skip}
        if lora_scale is not None:
            self._options["lora_scale"] = lora_scale
        found = [pipe.tokenizer, getattr(pipe, "tokenizer_2", None)]
        self._tokenizers = [tokenizer for tokenizer in found if tokenizer is not None]

    @property
    def chunk_length(self) -> int:
        """The tokenizer's limit: a pipeline has one chunk."""
        return int(self._tokenizers[0].model_max_length)

    def chunks(self, text: str) -> Sequence[Any]:
        """The one chunk of ``text``. Raises UnsupportedText where SDXL's two tokenizers give it other positions."""
        self._compare(text)
        return [token_ids(self._tokenizers[0], self._converted(text, self._tokenizers[0]))]

    def ids(self, text: str) -> Sequence[int]:
        """The tokens of ``text`` without start and end tokens, however long."""
        return self._ids(text, self._tokenizers[0])

    def encode(self, text: str) -> Encoding:
        """The pipeline's own encoding of one text, and SDXL's pooled vector."""
        tokens, pooled = encode(self._pipe, [text], **self._options)
        return Encoding(tokens[0], None if pooled is None else pooled[0])

    def _ids(self, text: str, tokenizer: Any) -> list[int]:
        return bare_ids(tokenizer, self._converted(text, tokenizer))

    def _converted(self, text: str, tokenizer: Any) -> str:
        """``text`` with each embedding of several vectors under as many names, as the pipeline tokenizes it."""
        added = tokenizer.added_tokens_encoder
        if not any(f"{name}_1" in added for name in added):
            return text
        return str(self._pipe.maybe_convert_prompt(text, tokenizer))

    def _compare(self, text: str) -> None:
        """The text encoders' outputs stand side by side: a token has to have one position in all of them."""
        first, *others = (self._ids(text, tokenizer) for tokenizer in self._tokenizers)
        for other in others:
            own = [min(token, _VOCABULARY) for token in first]
            if own != [min(token, _VOCABULARY) for token in other]:
                raise UnsupportedText(
                    "the two text encoders have different tokens for this prompt (textual inversion?)"
                )


def encode_with(
    pipe: Any, prompt: str, settings: Settings, *, clean: str | None = None, clip_skip: int | None = None
) -> EncodedPrompt:
    """:func:`tome_ext.hosts.common.text.encode_prompt` with the text encoders of a pipeline."""
    return encode_prompt(PipelineEncoder(pipe, clip_skip), prompt, settings, refine=settings.refines, clean=clean)


def encode(pipe: Any, texts: Sequence[str], clip_skip: int | None = None, **more: Any) -> tuple[Tensor, Tensor | None]:
    """The pipeline's own encoding of ``texts``: [N, T, D], and SDXL's pooled vectors [N, P], as ordinary tensors."""
    with ordinary():
        found = pipe.encode_prompt(
            prompt=list(texts),
            device=pipe._execution_device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=False,
            clip_skip=clip_skip,
            **more,
        )
        pooled = found[2] if len(found) > 2 else None
        return found[0].clone(), None if pooled is None else pooled.clone()


def token_ids(tokenizer: Any, text: str) -> list[int]:
    """The tokens of ``text`` as the pipeline gives them to the encoder: padded and cut to its length."""
    found = tokenizer(text, padding="max_length", max_length=tokenizer.model_max_length, truncation=True)
    return list(found.input_ids)


def bare_ids(tokenizer: Any, text: str) -> list[int]:
    """The tokens of ``text`` without start and end tokens, however long."""
    return list(tokenizer(text, add_special_tokens=False, truncation=False).input_ids)
