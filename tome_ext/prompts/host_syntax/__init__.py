"""The prompt languages of the hosts, read with an offset map back to the text as typed.

"a1111": AUTOMATIC1111's WebUI and its family. "comfy": ComfyUI. "plain": brackets and colons are ordinary characters.
Every function works on :class:`Mapped` text: characters that each know where they were typed.
"""

from __future__ import annotations

from tome_ext.prompts.host_syntax import a1111, comfy
from tome_ext.prompts.host_syntax.mapped import Fragment, Mapped, joined

SYNTAXES = ("a1111", "comfy", "plain")

__all__ = ["SYNTAXES", "Fragment", "Mapped", "check_syntax", "joined", "plain_text", "readings", "text_fragments"]


def plain_text(text: str, syntax: str = "a1111") -> tuple[Mapped, list[tuple[int, int]]]:
    """What the words of a typed text say, and the typed pieces left out as branches of prompt editing."""
    check_syntax(syntax)
    if syntax == "a1111":
        return a1111.plain_text(text)
    return (Mapped.of(text) if syntax == "plain" else comfy.plain_text(text)), []


def text_fragments(text: str, syntax: str = "a1111") -> list[Fragment]:
    """The text as fragments of one weight, as the host hands it to its tokenizer; of an editing, one branch."""
    check_syntax(syntax)
    if syntax == "a1111":
        return a1111.text_fragments(text)[0]
    return comfy.fragments(Mapped.of(text)) if syntax == "comfy" else [Fragment(Mapped.of(text), 1.0)]


def readings(text: str, syntax: str) -> list[list[Fragment]]:
    """Ways in which a host may have read the text, the usual one first."""
    typed = Mapped.of(text)
    whole = [Fragment(typed, 1.0)]
    if syntax == "plain":
        return [whole]
    if syntax == "comfy":
        return [comfy.fragments(typed), whole]
    stripped = a1111.strip_networks(typed)
    out = [a1111.fragments(stripped)]
    if stripped.text != text:
        out.append(a1111.fragments(typed))
    return [*out, [Fragment(stripped, 1.0)], whole]


def check_syntax(syntax: str) -> None:
    """ValueError for an unknown prompt language."""
    if syntax not in SYNTAXES:
        raise ValueError(f"syntax must be one of {', '.join(SYNTAXES)}, not {syntax!r}")
