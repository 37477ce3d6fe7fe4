"""``groups``: show which words of a prompt belong together."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from tome_ext.prompts import PARSERS, GroupSyntaxError, Reading, read_prompt
from tome_ext.prompts.host_syntax import SYNTAXES
from tome_ext.prompts.preview import as_html, as_json, as_text


def add_groups_command(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to an argparse sub-parser collection; its ``run`` default is :func:`run`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "groups",
        help="show which words of a prompt belong together",
        description="Show which words of a prompt belong together, the clean prompt, and what was left alone.",
    )
    parser.add_argument("prompt", nargs="?", help="the prompt")
    parser.add_argument(
        "--stdin", action="store_true", help="read prompts from standard input, one JSON string per line"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per prompt")
    parser.add_argument("--html", action="store_true", help="print an HTML fragment")
    parser.add_argument("--parser", choices=PARSERS, default="auto", help="default: spaCy where a model is installed")
    parser.add_argument(
        "--groups", default="", metavar="TEXT", help='by hand: "cat: wearing sunglasses; dog + 1.2*hat"'
    )
    parser.add_argument("--clean", default="", metavar="TEXT", help="the clean prompt, by hand")
    parser.add_argument(
        "--syntax", choices=SYNTAXES, default="a1111", help="the prompt language: the WebUI's, ComfyUI's or none"
    )
    parser.add_argument("--no-color", action="store_true", help="no colours in the terminal")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Carry the command out; 0, or 2 with a message where the arguments make no sense."""
    if (args.prompt is None) == (not args.stdin):
        print("groups: give a prompt, or --stdin", file=sys.stderr)
        return 2
    try:
        for text in [args.prompt] if args.prompt is not None else _lines(sys.stdin):
            reading = read_prompt(text, parser=args.parser, manual=args.groups, clean=args.clean, syntax=args.syntax)
            print(_shown(reading, args))
    except (GroupSyntaxError, _InputError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


class _InputError(ValueError):
    """A line of standard input that is no JSON string."""


def _lines(stream: TextIO) -> Iterator[str]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)
        except json.JSONDecodeError as error:
            raise _InputError(f"standard input, line {number}, column {error.colno}: {error.msg}") from None
        except RecursionError:
            raise _InputError(f"standard input, line {number}: expected a JSON string") from None
        if not isinstance(text, str):
            raise _InputError(f"standard input, line {number}: expected a JSON string")
        yield text


def _shown(reading: Reading, args: argparse.Namespace) -> str:
    if args.json:
        return json.dumps(as_json(reading), ensure_ascii=True)
    if args.html:
        return as_html(reading)
    return as_text(reading, colour=sys.stdout.isatty() and not args.no_color)
