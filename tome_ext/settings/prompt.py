"""The settings of how the prompt is read."""

from __future__ import annotations

from dataclasses import dataclass

from tome_ext.settings.declaration import setting


@dataclass(frozen=True)
class PromptSettings:
    """The settings of how the prompt is read, each with its default, range, label and help."""

    groups: str = setting(
        "",
        "Groups",
        "Which words belong to which object, by hand: 'cat: wearing sunglasses; dog: hat'. Empty: found "
        "automatically. Objects named here override the automatic reading.",
        "Words",
        advanced=False,
    )
    parser: str = setting(
        "auto",
        "Parser",
        "What reads the prompt: spaCy where a language model is installed (auto, spacy), or the built-in parser.",
        "Words",
        choices=("auto", "spacy", "builtin"),
    )
    clean_prompt: str = setting(
        "",
        "Clean prompt",
        "The prompt with only the base objects, for end token substitution: 'a cat and a dog'. Empty: derived.",
        "Words",
    )
