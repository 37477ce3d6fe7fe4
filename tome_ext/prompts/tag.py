"""ToMe said in the prompt: ``<tome>``, ``<tome:paper>``, ``<tome:cat: hat; dog: sunglasses>``, ``<tome:off>``.

The form is that of the WebUI's extra networks, such as LoRA tags. Grammar::

    tag   = "<tome>" | "<tome:" [ item { ";" item } ] ">"     a line break counts as ";"
    item  = "on" | "off"
          | preset                                            its name
          | ( preset | "on" ) ":" number                      with a strength, as <lora:name:1.2> has one
          | name "=" value                                    a setting by its name
          | group                                             see :mod:`tome_ext.prompts.manual.grammar`

``<tome>`` alone is "on". Anything but "off" switches ToMe on. Several tags in a prompt are read as one, from left to
right; of two items that say different things the later counts. Between quotes ";" and "=" are text, ">" never is. In
the WebUI "#" begins a comment: write ``bird@2`` for ``bird#2``.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from tome_ext.prompts.manual.grammar import GroupSyntaxError, parse_groups

_TAG = re.compile(r"<tome(?::([^>]*))?>", re.IGNORECASE)
_PIECE = re.compile(r"(?:\"[^\"\n]*\"?|“[^”\n]*”?|[^;\n\"“])+")
_VALUE = re.compile(r"([a-z_]+)\s*=(.*)", re.DOTALL)
_WEIGHTED = re.compile(r"(.+?)\s*:\s*(\d+\.?\d*|\.\d+)")


class TagError(ValueError):
    """A tag that breaks the grammar; the message names the item and what may stand there."""


@dataclass(frozen=True)
class Tag:
    """What the tags of one prompt say. ``values``: settings by name, as text; ``groups``: the groups by hand."""

    on: bool = True
    preset: str = ""
    values: tuple[tuple[str, str], ...] = ()
    groups: str = ""


def has_tag(text: str) -> bool:
    """Whether a prompt has a tag of ours, right or wrong."""
    return _TAG.search(text) is not None


def without_tags(text: str) -> str:
    """The prompt without its tags."""
    return _TAG.sub("", text)


def read_tags(text: str, presets: Collection[str]) -> Tag | None:
    """What the tags of a prompt say, None where it has none; :class:`TagError` for the first wrong item.

    ``presets``: the names of those that there are. Names and values of settings are not checked here.
    """
    bodies = [found.group(1) or "" for found in _TAG.finditer(text)]
    if not bodies:
        return None
    reader = _Reader({name.lower(): name for name in presets})
    for body in bodies:
        items = [piece.strip() for piece in _PIECE.findall(body) if piece.strip()]
        for item in items or ["on"]:
            reader.item(item)
    return Tag(reader.on, reader.preset, tuple(reader.values.items()), "; ".join(reader.groups))


class _Reader:
    def __init__(self, presets: dict[str, str]) -> None:
        self.presets = presets
        self.on, self.preset = True, ""
        self.values: dict[str, str] = {}
        self.groups: list[str] = []

    def item(self, item: str) -> None:
        """Take one item in."""
        if item.lower() == "off":
            self.on = False
            return
        self.on = True
        weighted = _WEIGHTED.fullmatch(item)
        value = _VALUE.fullmatch(item)
        if self.named(item):
            return
        if weighted and self.named(weighted.group(1)):
            self.values["strength"] = weighted.group(2)
        elif value:
            self.values[value.group(1)] = value.group(2).strip()
        else:
            self.group(item)

    def named(self, name: str) -> bool:
        """Whether this is "on" or a preset's name, which is taken then."""
        if name.lower() in self.presets:
            self.preset = self.presets[name.lower()]
            # A preset is a whole set of values: those before it no longer count, but for how the prompt is read.
            self.values = {key: value for key, value in self.values.items() if key in _BESIDE_PRESETS}
            return True
        return name.lower() == "on"

    def group(self, item: str) -> None:
        """A group by hand."""
        try:
            parse_groups(item)
        except GroupSyntaxError as error:
            if not any(mark in item for mark in ':+*"'):
                raise TagError(
                    f"{item!r}: must be on, off, {', '.join(self.presets.values())}, a setting such as "
                    "strength=1.2, or a group such as cat: hat"
                ) from error
            raise TagError(f"{item!r}: {error.problem} (character {error.position + 1})") from error
        self.groups.append(item)


_BESIDE_PRESETS = ("strength", "parser", "clean_prompt", "groups", "hires")
