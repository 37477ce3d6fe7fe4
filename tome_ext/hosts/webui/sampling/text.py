"""What the host's tokenizer and text encoders make of one text of the prompt."""

from __future__ import annotations

from tome_ext.hosts.common.text import EncodedPrompt as Understood
from tome_ext.hosts.common.text import encode_prompt as understand

__all__ = ["Understood", "understand"]
