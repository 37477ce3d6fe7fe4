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
        "Says by hand which words belong to which object: 'cat: wearing sunglasses; dog: hat'. Empty: found "
        "automatically. What stands here counts over what is found.",
        "Words",
        advanced=False,
    )
    parser: str = setting(
        "auto",
        "Parser",
        "What reads the prompt: spaCy or the built-in parser. auto: spaCy where a language model for it is installed.",
        "Words",
        choices=("auto", "spacy", "builtin"),
    )
    clean_prompt: str = setting(
        "",
        "Clean prompt",
        "The prompt with only the base objects, for end token substitution: 'a cat and a dog'. Empty: made from the "
        "prompt.",
        "Words",
    )
