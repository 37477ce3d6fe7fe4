"""What the Preview button shows: the words of the current prompt, coloured by object."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from tome_ext.prompts import GroupSyntaxError, read_prompt
from tome_ext.prompts.preview import as_html
from tome_ext.prompts.prompt_editing import parts

# How many texts of a prompt with AND, editing or alternation are shown, and the steps they are looked for in.
MOST_TEXTS = 8
_STEPS = 20


def preview(prompt: str, styles: Sequence[str], groups: str, parser: str, clean: str) -> str:
    """An HTML fragment about the prompt with its styles; everything the user typed is escaped."""
    text = final_prompt(prompt, styles)
    if not text.strip():
        return '<p class="tome-note">Type a prompt first.</p>'
    try:
        texts = variants(text)
        shown = [as_html(read_prompt(one, parser=parser, manual=groups, clean=clean)) for one in texts[:MOST_TEXTS]]
    except GroupSyntaxError as error:
        return f'<pre class="tome-error">{escape(str(error))}</pre>'
    if len(texts) == 1:
        return shown[0]
    note = f'<p class="tome-note">This prompt stands for {len(texts)} texts; each is read on its own.</p>'
    return note + "<hr>".join(shown)


def variants(text: str) -> list[str]:
    """The texts that a prompt with AND, editing or alternation stands for, each once."""
    return list(dict.fromkeys(variant.text.strip() for part in parts(text, _STEPS) for variant in part.variants))


def final_prompt(prompt: str, styles: Sequence[str]) -> str:
    """The prompt as the WebUI will use it: with styles, without comments."""
    from modules import shared

    text: Any = shared.prompt_styles.apply_styles_to_prompt(prompt or "", list(styles or []))
    if getattr(shared.opts, "enable_prompt_comments", False):
        try:
            from modules.processing_scripts.comments import strip_comments
        except ImportError:
            return str(text)
        text = strip_comments(text)
    return str(text)
