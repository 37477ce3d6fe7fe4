"""The ``settings`` command: every setting with its range and default, as text, Markdown or JSON."""

from __future__ import annotations

import argparse
import itertools
import json
from typing import Any

from tome_ext.settings import PRESETS, Setting, Settings, declaration, declarations, preset
from tome_ext.settings.schema import schema

_PREAMBLE = """\
# Settings

Generated from the declarations in `tome_ext/settings/` by `python -m tome_ext settings --markdown`; a test
compares them, so change the declarations and not this page. The defaults are the preset `balanced`. On the
command line `noun_weight` is `--noun-weight`.
"""


def add_settings_command(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``settings`` to the command line."""
    parser = subparsers.add_parser(
        "settings",
        help="list every setting with its range and default",
        description="List every setting of the method with its range, default and meaning.",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="as Markdown tables: what docs/SETTINGS.md holds")
    form.add_argument("--json", action="store_true", help="as a JSON schema, with the presets under $defs")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.json:
        print(json.dumps(schema(), indent=2, ensure_ascii=False))
    else:
        print(markdown() if arguments.markdown else listing(), end="")
    return 0


def listing() -> str:
    """All settings as plain text."""
    lines = []
    for setting in declarations():
        default = setting.format(setting.default) or "empty"
        lines.append(f"{setting.name} = {default}    ({setting.allowed})\n    {setting.help}\n")
    return "".join(lines)


def markdown() -> str:
    """The page docs/SETTINGS.md: one table per group, and one of what each preset changes."""
    parts = [_PREAMBLE]
    for group, settings in itertools.groupby(declarations(), key=lambda setting: setting.group):
        rows = "".join(_row(setting) for setting in settings)
        parts.append(f"\n## {group}\n\n| setting | default | allowed | what it does |\n|---|---|---|---|\n{rows}")
    parts.append("\n## Presets\n\nWhat each preset changes from the defaults.\n\n| preset | changes |\n|---|---|\n")
    for name in PRESETS:
        parts.append(f"| `{name}` | {_preset_changes(name)} |\n")
    return "".join(parts)


def _row(setting: Setting) -> str:
    default = setting.format(setting.default)
    cells = (f"`{setting.name}`", f"`{default}`" if default else "empty", setting.allowed, setting.help)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _preset_changes(name: str) -> str:
    base, values = Settings().to_json(), preset(name).to_json()
    changed = [(key, declaration(key).format(value)) for key, value in values.items() if value != base[key]]
    return ", ".join(f"`{key} = {value}`" for key, value in changed) or "nothing: these are the defaults"
