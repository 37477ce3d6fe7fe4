"""What the controls say, all of it in one place for translators.

``docs/controls.json`` is made from this: ``python -m tome_ext.hosts.webui.ui.labels`` prints it. It is not in
``localizations``, where the WebUI takes every file for a language.
"""

from __future__ import annotations

import json

from tome_ext.hosts.webui.ui.options import TITLE, arguments
from tome_ext.settings import Setting

PREVIEW = "Preview"
PREVIEW_HELP = "Which words of the prompt belong together, and what the prompt says without them."
ADVANCED = "Advanced"
PLACEHOLDERS = {
    "groups": "automatic; by hand: cat: sunglasses; dog: hat",
    "clean_prompt": "automatic",
}


def label(setting: Setting) -> str:
    """A label that is not mistaken for the WebUI's own "Token merging ratio"."""
    if setting.name == "enabled":
        return TITLE
    confusable = setting.group == "Use" or any(word in setting.label.lower() for word in ("merg", "token"))
    return f"ToMe {setting.label[0].lower()}{setting.label[1:]}" if confusable else setting.label


def template() -> dict[str, str]:
    """Every text, to be given its translation."""
    shown = [PREVIEW, PREVIEW_HELP, ADVANCED, *PLACEHOLDERS.values()]
    for setting in arguments():
        shown += [label(setting), setting.help, setting.group]
    return {text: text for text in shown}


if __name__ == "__main__":
    print(json.dumps(template(), indent=4, ensure_ascii=False))
