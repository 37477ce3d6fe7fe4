"""Presets that a user saves by name: one readable JSON file each in a folder, the values that differ from the defaults.

    {"name": "thorough", "values": {"iterations": 3, "window_stop": 0.4}}

A file that cannot be read is left out and named.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tome_ext.settings.declaration import SettingError, Value
from tome_ext.settings.method import Settings, declarations
from tome_ext.settings.presets import PRESETS

_LONGEST_NAME, _LARGEST_FILE = 60, 100_000
# No mark that tags, infotexts, plots or file systems give a meaning.
_NAME = re.compile(r"[^\W_](?:[\w .+()-]*[\w)+])?")
_RESERVED = ("custom", "on", "off")
# How the prompt is read belongs to the prompt, and the strength is that of whatever preset is chosen.
_LEFT_OUT = ("groups", "clean_prompt", "parser", "strength")


@dataclass(frozen=True)
class OwnPresets:
    """The presets of a folder: the values of each by name, and what is wrong with other files there."""

    values: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def load(folder: Path | None) -> OwnPresets:
    """All presets of ``folder``, in the order of their names; none where there is no folder."""
    found: dict[str, Mapping[str, Value]] = {}
    problems: list[str] = []
    for path in sorted(folder.glob("*.json")) if folder is not None and folder.is_dir() else ():
        try:
            name, values = _read(path)
            if name in found:
                raise ValueError(f"a second preset called {name!r}")
            found[name] = values
        except (OSError, ValueError, RecursionError) as error:
            problems.append(f"{path.name} was skipped: {error}")
    return OwnPresets(dict(sorted(found.items(), key=lambda item: item[0].lower())), tuple(problems))


def save(folder: Path, name: str, settings: Settings) -> str:
    """Save ``settings`` under a name, in place of a preset that has it; the name as it was saved."""
    name = checked(name)
    default = Settings()
    values = {
        setting.name: getattr(settings, setting.name)
        for setting in declarations()
        if setting.name not in _LEFT_OUT and getattr(settings, setting.name) != getattr(default, setting.name)
    }
    folder.mkdir(parents=True, exist_ok=True)
    target = _path(folder, name) or _free(folder, name)
    text = json.dumps({"name": name, "values": values}, indent=2, ensure_ascii=False) + "\n"
    part = target.with_suffix(f".{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(target)
    return name


def delete(folder: Path, name: str) -> None:
    """Delete a preset; :class:`SettingError` where there is none of that name."""
    path = _path(folder, name)
    if path is None:
        raise SettingError(f"there is no preset of your own called {name!r}")
    path.unlink()


def rename(folder: Path, old: str, new: str) -> str:
    """Give a preset another name, which no other may have; the name as it was saved."""
    new = checked(new)
    values = load(folder).values
    if old not in values:
        raise SettingError(f"there is no preset of your own called {old!r}")
    if new != old and new in values:
        raise SettingError(f"there is a preset called {new!r} already")
    settings = Settings(**values[old])  # type: ignore[arg-type]
    delete(folder, old)
    return save(folder, new, settings)


def checked(name: str) -> str:
    """A name for a preset; :class:`SettingError` for one that cannot be used."""
    name = " ".join(name.split())
    if name.lower() in (*PRESETS, *_RESERVED):
        raise SettingError(f"the name {name!r} is taken")
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise SettingError(
            f"the name {name[:_LONGEST_NAME]!r} cannot be used: letters, digits, spaces and . _ + - ( ), "
            f"at most {_LONGEST_NAME}, with a letter or digit first"
        )
    return name


def _read(path: Path) -> tuple[str, Mapping[str, Value]]:
    if path.stat().st_size > _LARGEST_FILE:
        raise ValueError("the file is too large for a preset")
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not isinstance(content.get("values"), dict):
        raise ValueError('must be an object such as {"name": "thorough", "values": {"iterations": 3}}')
    name, values = content.get("name", path.stem), content["values"]
    if not isinstance(name, str):
        raise ValueError("the name must be text")
    settings = Settings().replace(**values)
    return checked(name), {key: getattr(settings, key) for key in values if key not in _LEFT_OUT}


def _path(folder: Path, name: str) -> Path | None:
    """The file of a preset."""
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        with contextlib.suppress(OSError, ValueError, RecursionError):
            if _read(path)[0] == name:
                return path
    return None


def _free(folder: Path, name: str) -> Path:
    """A file for a new preset, called much like it."""
    stem = re.sub(r"[^\w-]+", "-", name).strip("-").lower() or "preset"
    paths = (folder / f"{stem}{number}.json" for number in itertools.chain([""], (f"-{k}" for k in itertools.count(2))))
    return next(path for path in paths if not path.exists())
