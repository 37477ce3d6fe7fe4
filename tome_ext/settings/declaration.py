"""How one setting is declared: name, type, range, label and help, from which every interface derives."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["bool", "int", "float", "choice", "text"]
Value = bool | int | float | str
LONGEST_TEXT = 20_000  # characters


class SettingError(ValueError):
    """A setting has an unknown name or an invalid value; the message names it and the allowed range."""


@dataclass(frozen=True)
class Setting:
    """The declaration of one setting.

    ``kind`` follows from the default; ``minimum`` and ``maximum`` are inclusive; ``step`` is the
    granularity of a slider; ``help`` says what the setting does to the picture. ``group`` orders the
    controls; ``advanced`` ones are folded away; ``hidden`` ones are for presets, API and command line alone.
    """

    name: str
    default: Value
    label: str
    help: str
    group: str
    kind: Kind
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    advanced: bool = True
    hidden: bool = False

    @property
    def allowed(self) -> str:
        """The allowed values in words, for error messages and tables."""
        if self.kind == "bool":
            return "true or false"
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind == "text":
            return "text"
        number = "a whole number" if self.kind == "int" else "a number"
        return f"{number} from {self.minimum:g} to {self.maximum:g}"

    def validate(self, value: object) -> Value:
        """Return ``value`` in the setting's type, or raise :class:`SettingError`."""
        error = SettingError(f"{self.name} = {short(value)}: must be {self.allowed}")
        if self.kind == "bool":
            if not isinstance(value, bool):
                raise error
            return value
        if self.kind in ("choice", "text"):
            if not isinstance(value, str) or (self.kind == "choice" and value not in self.choices):
                raise error
            if len(value) > LONGEST_TEXT:
                raise SettingError(f"{self.name} = {short(value)}: must be at most {LONGEST_TEXT} characters long")
            check_unicode(self.name, value)
            return value
        return self._validate_number(value, error)

    def _validate_number(self, value: object, error: SettingError) -> int | float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise error
        assert self.minimum is not None
        assert self.maximum is not None
        if not self.minimum <= value <= self.maximum:  # false for NaN as well
            raise error
        if self.kind == "int" and value != int(value):
            raise error
        return int(value) if self.kind == "int" else float(value)

    def parse(self, text: str) -> Value:
        """Read the setting from text (command line, infotext, XYZ plot); the inverse of :meth:`format`."""
        if self.kind == "bool":
            words = {"true": True, "yes": True, "on": True, "1": True}
            words |= {"false": False, "no": False, "off": False, "0": False}
            return self.validate(words.get(text.strip().lower(), text))
        if self.kind in ("int", "float"):
            try:
                return self.validate(float(text))
            except ValueError as error:
                raise SettingError(f"{self.name} = {short(text)}: must be {self.allowed}") from error
        return self.validate(text.strip() if self.kind == "choice" else text)

    def format(self, value: Value) -> str:
        """The setting's value as text, the shortest that reads back exactly."""
        if isinstance(value, bool):
            return "true" if value else "false"
        return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def setting(default: Value, label: str, help: str, group: str, **more: Any) -> Any:
    """A dataclass field that carries its declaration."""
    return dataclasses.field(default=default, metadata={"label": label, "help": help, "group": group, **more})


def fraction(default: float, label: str, help: str, group: str, **more: Any) -> Any:
    """A field for a number from 0 to 1."""
    return setting(default, label, help, group, **{"minimum": 0.0, "maximum": 1.0, "step": 0.05, **more})


def declare(field: dataclasses.Field[Any]) -> Setting:
    """The declaration that a dataclass field carries."""
    kinds: dict[type, Kind] = {bool: "bool", int: "int", float: "float", str: "text"}
    kind = "choice" if "choices" in field.metadata else kinds[type(field.default)]
    return Setting(name=field.name, default=field.default, kind=kind, **field.metadata)  # type: ignore[arg-type]


def nearest(name: str, known: Mapping[str, object]) -> str:
    """The end of an error message about an unknown name: the nearest known one, or all of them."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5) if len(name) <= 100 else []
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"


def check_unicode(name: str, text: str) -> None:
    """SettingError where ``text`` holds half a character (a lone surrogate), which no file and no tokenizer takes.

    A command line that is not UTF-8 and JSON with a broken escape bring them.
    """
    at = next((at for at, c in enumerate(text, 1) if "\ud800" <= c <= "\udfff"), None) if not text.isascii() else None
    if at is not None:
        raise SettingError(f"{name}: character {at} is not valid Unicode; the text must be UTF-8")


def short(value: object, most: int = 100) -> str:
    """``value`` for an error message; of a long one the beginning and the length."""
    if isinstance(value, str):
        return repr(value) if len(value) <= most else f"{value[:most]!r}… ({len(value)} characters)"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, or too deep
        return f"({type(value).__name__}, too large to show)"
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def cut(message: str, most: int = 400) -> str:
    """``message``, cut where it is long."""
    return message if len(message) <= most else f"{message[:most]}… ({len(message)} characters)"
