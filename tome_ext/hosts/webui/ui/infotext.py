"""What the WebUI adds to the infotext of :mod:`tome_ext.hosts.common.infotext`: its own options and its controls."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from tome_ext.hosts.common import infotext
from tome_ext.hosts.common.infotext import KEY, parser_used, used, written
from tome_ext.hosts.webui.ui.options import Options, argument, preset_of
from tome_ext.settings import SettingError, Value

__all__ = ["KEY", "entries", "parser_used", "read", "reader", "written"]
_OWN = ("hires", "show_maps")


def entries(options: Options) -> dict[str, str]:
    """What to add to the infotext; everything needed to make the image again, on another machine as well."""
    own = [(argument(name), getattr(options, name)) for name in _OWN]
    changes = [f"{s.name}={s.format(value)}" for s, value in own if value != s.default]
    return infotext.entries(options.settings, parser_used(options.settings.parser), changes)


def read(params: Mapping[str, Any]) -> Options:
    """The options of a parsed infotext, which may come from anyone: what is unknown or invalid is ignored."""
    found = infotext.read(params)
    if found is None:
        return Options()
    settings, changes = found
    own: dict[str, Any] = {}
    for name in _OWN:
        try:
            if name in changes:
                own[name] = argument(name).parse(changes[name])
        except SettingError:
            continue
    return Options(enabled=True, settings=settings, **own)


@functools.cache
def reader(name: str) -> Callable[[Mapping[str, Any]], Value | None]:
    """How a control reads its value from a parsed infotext; always the same function for one name.

    Without ToMe in it, the switch goes off and every other control stays as it is (None).
    """

    def value(params: Mapping[str, Any]) -> Value | None:
        if name == "enabled":
            return used(params)
        if not used(params):
            return None
        options = read(params)
        if name == "preset":
            return preset_of(options.settings)
        found: Value = getattr(options if name in _OWN else options.settings, name)
        return found

    return value
