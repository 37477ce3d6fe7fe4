"""The command line: ``python -m tome_ext COMMAND``. Each command imports what it needs only when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tome_ext import __version__
from tome_ext.cli.console import CommandError, printable, tolerate_encodings
from tome_ext.cli.cost import add_cost_command
from tome_ext.cli.evidence import add_evidence_command
from tome_ext.cli.flags import Parser
from tome_ext.cli.generate import add_generate_command
from tome_ext.cli.groups import add_groups_command
from tome_ext.cli.settings_table import add_settings_command
from tome_ext.settings import SettingError

_DESCRIPTION = """\
ToMe, token merging for semantic binding (arXiv 2411.07132): pictures in which the sunglasses are on the cat
and the hat is on the dog, without training anything."""

_EXAMPLES = """\
examples:
  python -m tome_ext generate "a cat wearing sunglasses and a dog wearing a hat" --compare
  python -m tome_ext generate "a red book and a yellow vase" --model FOLDER --preset fast --count 4
  python -m tome_ext generate --from-image out/picture.png        repeat a picture from its metadata
  python -m tome_ext groups "a cat wearing sunglasses and a red book"    which words belong together
  python -m tome_ext cost --preset paper                          what a preset costs, in passes and memory
  python -m tome_ext settings                                     every setting, its range and default

`python -m tome_ext COMMAND --help` says more about one command."""


def build_parser() -> Parser:
    """The parser of the whole command line."""
    parser = Parser(prog="python -m tome_ext", description=_DESCRIPTION, epilog=_EXAMPLES)
    parser.add_argument("--version", action="version", version=f"sd-webui-tome {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    add_generate_command(commands)
    add_groups_command(commands)
    add_cost_command(commands)
    add_settings_command(commands)
    add_evidence_command(commands)
    for command in commands.choices.values():
        command.set_defaults(parser_used=command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 2 for a mistake in what was asked, 130 when interrupted."""
    tolerate_encodings()
    parser = build_parser()
    try:
        arguments = parser.parse(argv)
        if not hasattr(arguments, "run"):
            parser.print_help(sys.stderr)
            return 2
        status: int = arguments.run(arguments)
        return status
    except (CommandError, SettingError) as error:
        print(f"tome_ext: error: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
