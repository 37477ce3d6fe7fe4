"""What the user asked for, from the script arguments that every request carries.

The arguments are a list of JSON values in the order of :func:`arguments`: a switch, the preset, the second pass of
hires fix, the attention maps, and then every setting in the order of its declaration. The order only ever grows at
its end. A missing tail stands for the defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from tome_ext.prompts.manual.grammar import GroupSyntaxError, parse_groups
from tome_ext.settings import (
    DEFAULT_PRESET,
    PRESETS,
    Setting,
    SettingError,
    Settings,
    Value,
    declaration,
    declarations,
    preset,
)

TITLE = "ToMe Semantic Binding"
CUSTOM = "custom"
Hires = Literal["refine", "merge", "off"]

_OWN = (
    Setting(
        name="enabled",
        default=False,
        label="Enabled",
        help="Bind each attribute and accessory in the prompt to its own object.",
        group="Use",
        kind="bool",
        advanced=False,
    ),
    Setting(
        name="preset",
        default=DEFAULT_PRESET,
        label="Preset",
        help="A full set of values. fast: merging alone; balanced: the default; paper, reference: what the paper and "
        "the authors' code do. Changing a value below makes it custom.",
        group="Use",
        kind="choice",
        choices=(*PRESETS, CUSTOM),
        advanced=False,
    ),
    Setting(
        name="hires",
        default="merge",
        label="In the second pass of hires fix",
        help="What the second pass gets: merged tokens and refinement (slow, much memory), merged tokens, or nothing.",
        group="Use",
        kind="choice",
        choices=get_args(Hires),
        advanced=False,
    ),
    Setting(
        name="show_maps",
        default=False,
        label="Attention maps",
        help="One more picture for each image: where each object's token looks, as heat over the image.",
        group="Use",
        kind="bool",
        advanced=False,
    ),
)


@dataclass(frozen=True)
class Options:
    """What one job was asked to do.

    ``hires``: the second pass of hires fix gets refinement too, merged tokens only, or nothing.
    """

    enabled: bool = False
    settings: Settings = field(default_factory=Settings)
    hires: Hires = "merge"
    show_maps: bool = False

    @classmethod
    def from_args(cls, args: Sequence[object]) -> Options:
        """Read script arguments; :class:`SettingError` names the argument that is wrong and what it may be.

        A named preset gives every setting of the method whose argument is missing or stands at its default. In the
        preset's place there may be a mapping from names to values, which count over the other arguments; a preset
        in it gives every setting that it does not name itself.
        """
        return cls._from_values(settled(args))

    @classmethod
    def _from_values(cls, values: Mapping[str, object]) -> Options:
        own = {argument.name: argument.validate(values[argument.name]) for argument in _OWN}
        settings = Settings().replace(**{s.name: values[s.name] for s in declarations()})
        _check_texts(settings)
        return cls(
            enabled=cast(bool, own["enabled"]),
            settings=settings,
            hires=cast(Hires, own["hires"]),
            show_maps=cast(bool, own["show_maps"]),
        )

    def to_args(self) -> list[Value]:
        """The arguments that :meth:`from_args` reads back."""
        settings = self.settings.to_json()
        return [self.enabled, preset_of(self.settings), self.hires, self.show_maps, *settings.values()]


def arguments() -> Iterator[Setting]:
    """The declarations of all script arguments, in their order."""
    yield from _OWN
    yield from declarations()


def argument(name: str) -> Setting:
    """The declaration of one script argument."""
    return next((own for own in _OWN if own.name == name), None) or declaration(name)


def in_preset(setting: Setting) -> bool:
    """Whether a preset has a say in this setting: it has none in how the prompt is read."""
    return setting.group not in ("Words", "Use")


def preset_of(settings: Settings) -> str:
    """The name of the preset that these settings are, or "custom"."""
    method = [s.name for s in declarations() if in_preset(s)]
    for known in PRESETS:
        base = preset(known)
        if all(getattr(settings, key) == getattr(base, key) for key in method):
            return known
    return CUSTOM


def settled(args: Sequence[object]) -> dict[str, object]:
    """The value of each argument by name; they may not go together. SettingError for what cannot be read at all."""
    known = list(arguments())
    if len(args) > len(known):
        raise SettingError(f"{TITLE} takes {len(known)} arguments, not {len(args)}")
    values: dict[str, object] = {argument.name: argument.default for argument in known}
    values |= {argument.name: value for argument, value in zip(known, args, strict=False) if value is not None}
    over = values["preset"]
    if isinstance(over, Mapping):
        return _overlaid(values, over)
    return _filled(values, argument("preset").validate(over))


def _filled(values: Mapping[str, object], name: Value) -> dict[str, object]:
    """The values with a preset's in place of those that stand at their default."""
    out = dict(values)
    if name != CUSTOM:
        base = preset(str(name))
        for setting in declarations():
            if in_preset(setting) and setting.validate(values[setting.name]) == setting.default:
                out[setting.name] = getattr(base, setting.name)
    return out


def _overlaid(values: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    """The values with those of a mapping on top; a preset in it first replaces what presets decide."""
    for name in over:
        argument(name)
    out = {**values, "preset": over.get("preset", CUSTOM)}
    chosen = argument("preset").validate(out["preset"])
    if chosen != CUSTOM:
        base = preset(str(chosen))
        out |= {s.name: getattr(base, s.name) for s in declarations() if in_preset(s)}
    return {**out, **over}


def _check_texts(settings: Settings) -> None:
    try:
        if settings.groups.strip():
            parse_groups(settings.groups)
    except GroupSyntaxError as error:
        where = f"{error.problem} (character {error.position + 1})"
        raise SettingError(f"groups = {settings.groups!r}: {where}") from error
    if not settings.layers.strip():
        raise SettingError("layers = '': must name layers, such as 'reference', 'paper' or 'middle'")
