"""Command line flags derived from the declarations of the settings."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import NoReturn

from tome_ext.cli.console import CommandError, short
from tome_ext.prompts.manual.grammar import GroupSyntaxError, parse_groups
from tome_ext.settings import (
    DEFAULT_PRESET,
    PRESETS,
    Setting,
    Settings,
    Value,
    cut,
    declaration,
    declarations,
    preset,
)

_DEST = "setting_"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, with the nearest flag for an unknown one."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def parse(self, argv: Sequence[str] | None = None) -> argparse.Namespace:
        """Parse ``argv``, by default the program's; raises :class:`CommandError` in place of exiting."""
        found, unknown = self.parse_known_args(argv)
        if unknown:
            flags = [word for word in unknown if word.startswith("-")]
            self.error(f"there is no {(flags or unknown)[0]}{self._nearest((flags or unknown)[0], found)}")
        return found

    def _nearest(self, flag: str, found: argparse.Namespace) -> str:
        parser: argparse.ArgumentParser = getattr(found, "parser_used", self)
        known = [option for action in parser._actions for option in action.option_strings]
        close = difflib.get_close_matches(flag.split("=")[0], known, n=1, cutoff=0.5)
        return f"; did you mean {close[0]}?" if close else f"; see {parser.prog} --help"

    def error(self, message: str) -> NoReturn:
        """Raise :class:`CommandError` with the message."""
        raise CommandError(message)


def flag_of(setting: Setting) -> str:
    """The setting's flag: ``noun_weight`` becomes ``--noun-weight``."""
    return "--" + setting.name.replace("_", "-")


def add_setting_flags(parser: argparse.ArgumentParser) -> None:
    """Add ``--preset`` and one flag per setting, in the groups of the declarations."""
    presets = parser.add_argument_group("settings")
    presets.add_argument(
        "--preset",
        metavar="{" + ",".join(PRESETS) + "}",
        help=f"the settings to start from; the flags below change single ones (default: {DEFAULT_PRESET})",
    )
    groups: dict[str, argparse._ArgumentGroup] = {}
    for setting in declarations():
        if setting.group not in groups:
            groups[setting.group] = parser.add_argument_group(f"settings: {setting.group.lower()}")
        _add_flag(groups[setting.group], setting)


def _add_flag(group: argparse._ArgumentGroup, setting: Setting) -> None:
    note = "" if setting.kind in ("bool", "choice") else f"; {setting.allowed}"
    text = f"{setting.help} (default: {setting.format(setting.default) or 'empty'}{note})".replace("%", "%%")
    if setting.kind == "bool":
        group.add_argument(
            flag_of(setting),
            dest=_DEST + setting.name,
            action=argparse.BooleanOptionalAction,
            help=text,
        )
        return
    metavar = "{" + ",".join(setting.choices) + "}" if setting.choices else {"text": "TEXT"}.get(setting.kind, "X")
    group.add_argument(flag_of(setting), dest=_DEST + setting.name, metavar=metavar, help=text)


def settings_from(arguments: argparse.Namespace, base: Settings | None = None) -> Settings:
    """The settings that the flags ask for: ``base`` (or the default preset), then ``--preset``, then single flags.

    Raises :class:`~tome_ext.settings.SettingError`, and CommandError for groups that break the grammar.
    """
    chosen = base or preset(DEFAULT_PRESET)
    if arguments.preset is not None:
        chosen = preset(arguments.preset)
    values: dict[str, Value] = {}
    for name, given in vars(arguments).items():
        if name.startswith(_DEST) and given is not None:
            setting = declaration(name.removeprefix(_DEST))
            values[setting.name] = given if isinstance(given, bool) else setting.parse(given)
    settings = chosen.replace(**values)
    try:
        parse_groups(settings.groups)
    except GroupSyntaxError as error:
        where = f"{cut(error.problem)} (character {error.position + 1})"
        raise CommandError(f"groups = {short(settings.groups)}: {where}") from error
    return settings
