"""The extension's page in the WebUI's settings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tome_ext.hosts.webui.ui.labels import PREFERENCES
from tome_ext.hosts.webui.ui.options import TITLE
from tome_ext.hosts.webui.ui.user_presets import presets
from tome_ext.settings import DEFAULT_PRESET, declaration

LIVE, PRESET, PARSER = "tome_live_preview", "tome_default_preset", "tome_default_parser"
SAVE_MAPS = "tome_save_maps"


def add_options() -> None:
    """Add the options; for ``script_callbacks.on_ui_settings``."""
    import gradio as gr
    from modules import shared

    section = ("tome", TITLE)
    dropdown: Any = gr.Dropdown
    options = {
        PRESET: (DEFAULT_PRESET, PREFERENCES["preset"], dropdown, lambda: {"choices": list(presets())}),
        PARSER: ("auto", PREFERENCES["parser"], dropdown, lambda: {"choices": list(declaration("parser").choices)}),
        LIVE: (True, PREFERENCES["live"], gr.Checkbox, {"interactive": True}),
        SAVE_MAPS: (False, PREFERENCES["maps"], gr.Checkbox, {"interactive": True}),
    }
    for name, (default, text, component, arguments) in options.items():
        shared.opts.add_option(name, shared.OptionInfo(default, text, component, arguments, section=section))


def chosen(name: str, otherwise: Any) -> Any:
    """The value of an option."""
    return getattr(getattr(sys.modules.get("modules.shared"), "opts", None), name, otherwise)


def docs() -> str:
    """Where the extension's pages are: on the site it was cloned from, else its own files."""
    here = Path(__file__).resolve().parents[4]
    module = sys.modules.get("modules.extensions")
    for extension in getattr(module, "extensions", ()):
        remote = str(getattr(extension, "remote", None) or "")
        if Path(getattr(extension, "path", "")).resolve() == here and remote.startswith("https://"):
            return f"{remote.removesuffix('.git')}#readme"
    return f"file={here / 'README.md'}"
