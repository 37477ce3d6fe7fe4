"""What the controls say, all of it in one place for translators.

``docs/controls.json`` is made from this: ``python -m tome_ext.hosts.webui.ui.labels`` prints it. It is not in
``localizations``, where the WebUI takes every file for a language.
"""

from __future__ import annotations

import json

from tome_ext.hosts.webui.ui.options import TITLE, arguments
from tome_ext.settings import Setting

PREVIEW = "Preview"
PREVIEW_HELP = "Shows which words of the prompt belong together, and what the prompt says without them."
UNDO = "Undo"
UNDO_HELP = "Takes back the last change that a click on a word made to the groups."
ADVANCED = "More settings"
DOCS = "Help"
PLACEHOLDERS = {
    "groups": "automatic; by hand: cat: sunglasses; dog: hat",
    "clean_prompt": "automatic",
}
PRESETS_SAY = {
    "fast": "Merging alone: as quick as plain sampling.",
    "balanced": "The default: merging and a short refinement at low cost.",
    "paper": "As the paper describes it: more iterations on the full latent; slow.",
    "reference": "As the authors' code does it for objects with accessories; slow.",
    "reference-attributes": "As the authors' code does it for objects with attributes; slow.",
    "custom": "Values of your own.",
    "own": "A preset of your own.",
}
COSTS = {
    "unsuited": "The loaded model has no UNet with cross-attention: its images are made without ToMe.",
    "off": "Strength 0: the image is the plain one.",
    "none": "No pass through the network beyond those of plain sampling.",
    "times": "Estimated computation:",
    "plain": "times that of the plain image",
    "steps": "steps:",
    "objects": "objects:",
    "unguided": "CFG 1",
    "hidden": "Also in effect, from a preset:",
}
OWN_PRESETS = {
    "heading": "Your presets",
    "name": "Name of your preset",
    "name_help": "Saves the values above under this name, or names the preset to rename or delete.",
    "save": "Save preset",
    "delete": "Delete preset",
    "rename": "Rename chosen preset",
    "saved": "Saved:",
    "deleted": "Deleted:",
    "renamed": "Renamed:",
}
PREFERENCES = {
    "preset": "Default preset (needs Reload UI)",
    "live": "Preview the prompt while typing",
    "parser": "Default parser (needs Reload UI)",
    "maps": "Save attention maps beside the images",
}
# Comments and progress; javascript/tome_translation.js puts numbers for "{n}" and other words for "{}".
SPOKEN = (
    "ToMe: refining step {n} of {n}",
    "ToMe bound {} ({}; {n} of {n} steps refined; took {n} s)",
    "ToMe bound {} ({}; merged, not refined; took {n} s)",
    "ToMe: nothing to bind was found in the prompt {}",
    "ToMe: tokens are merged, not refined: {}",
    "ToMe: out of memory: continuing without refinement",
    "ToMe: out of memory: continuing without ToMe",
    "ToMe: some updates had gradients that are no finite numbers, and were left out",
    "ToMe: refinement failed: continuing without it ({})",
    "ToMe: failed: continuing without ToMe ({})",
    "ToMe: this model has no UNet with cross-attention layers; the image is made without ToMe",
    "ToMe: groups, {}; the image is made without ToMe",
    "ToMe: no attention maps: {}",
    "ToMe was not used: {}",
)


def label(setting: Setting) -> str:
    """A label that is not mistaken for the WebUI's own "Token merging ratio"."""
    if setting.name == "enabled":
        return TITLE
    confusable = any(word in setting.label.lower() for word in ("merg", "token"))
    return f"ToMe {setting.label[0].lower()}{setting.label[1:]}" if confusable else setting.label


def template() -> dict[str, str]:
    """Every text, to be given its translation."""
    from tome_ext.hosts.webui.ui import preview, shown

    texts = [PREVIEW, PREVIEW_HELP, UNDO, UNDO_HELP, ADVANCED, DOCS, *PLACEHOLDERS.values()]
    texts += [*PRESETS_SAY.values(), *COSTS.values(), *OWN_PRESETS.values(), *PREFERENCES.values(), *SPOKEN]
    texts += [preview.EMPTY, preview.TEXTS, preview.OFF, preview.TAGGED]
    texts += [shown.DETAILS, shown.CLEAN, shown.LEFT_ALONE, shown.NOTHING, shown.SINGLE]
    texts += [shown.BY_HAND, shown.ADDED, shown.CLICK]
    for setting in arguments():
        if not setting.hidden:
            texts += [label(setting), setting.help, setting.group]
    return {text: text for text in texts}


if __name__ == "__main__":
    print(json.dumps(template(), indent=4, ensure_ascii=False))
