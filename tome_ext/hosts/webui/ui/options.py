"""What the user asked for, from the script arguments that every request carries.

The arguments are a list of JSON values in the order of :data:`ORDER`: what the panel shows first, the settings by
their groups, and last those that the panel does not show. The order only ever grows at its end. A missing tail stands
for the defaults.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from tome_ext.hosts.webui.ui.user_presets import own, preset_named, presets
from tome_ext.prompts.manual.grammar import GroupSyntaxError, parse_groups
from tome_ext.prompts.tag import Tag
from tome_ext.settings import (
    DEFAULT_PRESET,
    PRESETS,
    Setting,
    SettingError,
    Settings,
    Value,
    declaration,
    declarations,
    short,
)
from tome_ext.settings.declaration import nearest

TITLE = "ToMe Semantic Binding"
CUSTOM = "custom"
Hires = Literal["refine", "merge", "off"]

# The places of the values in a request: add new ones at the end only.
# fmt: off
ORDER = (
    "enabled", "preset", "strength", "groups", "hires", "show_maps", "parser", "clean_prompt",
    "min_objects", "noun_weight", "related_weight", "members", "ets", "ets_start", "pooled",
    "iterations", "window_start", "window_stop", "every", "step_size", "step_decay", "descent", "update",
    "checkpointing",
    "entropy_weight", "binding_weight", "position_weight", "entropy_target", "layers", "resolution",
    "order", "binding_iterations", "binding_step_size", "latent_step", "phrase_latent", "loss_pooled", "entropy_form",
)
# fmt: on

_ENABLED = Setting(
    name="enabled",
    default=False,
    label="Enabled",
    help="Binds each attribute and accessory in the prompt to its own object.",
    group="Use",
    kind="bool",
    advanced=False,
)
_HIRES = Setting(
    name="hires",
    default="merge",
    label="In the second pass of hires fix",
    help="What the second pass of hires fix gets. refine: merged and refined tokens, which is slow and takes much "
    "memory. merge: merged tokens. off: nothing.",
    group="Output",
    kind="choice",
    choices=get_args(Hires),
)
_MAPS = Setting(
    name="show_maps",
    default=False,
    label="Attention maps",
    help="Adds a heat map of each object's attention behind the images.",
    group="Output",
    kind="bool",
)


def _preset_argument() -> Setting:
    """The declaration of the preset: what there is may change while the WebUI runs."""
    return Setting(
        name="preset",
        default=DEFAULT_PRESET,
        label="Preset",
        help="A full set of values. Changing a value below makes it custom.",
        group="Use",
        kind="choice",
        choices=(*PRESETS, *own().values, CUSTOM),
        advanced=False,
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

    def with_tag(self, tag: Tag) -> Options:
        """These options with those of a tag in the prompt on top; :class:`SettingError` for what it may not say."""
        if not tag.on:
            return dataclasses.replace(self, enabled=False)
        over: dict[str, object] = {"preset": tag.preset} if tag.preset else {}
        for name, text in tag.values:
            if name in ("enabled", "preset", "show_maps"):
                raise SettingError(f"{name} cannot be set in a prompt")
            over[name] = argument(name).parse(text)
        if tag.groups:
            over["groups"] = tag.groups
        values = dict(zip(ORDER, self.to_args(), strict=True))
        return Options._from_values({**_overlaid(values, over), "enabled": True})

    @classmethod
    def _from_values(cls, values: Mapping[str, object]) -> Options:
        own = {one.name: one.validate(values[one.name]) for one in arguments() if one.name in _OWN}
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
        values = {
            "enabled": self.enabled,
            "preset": preset_of(self.settings),
            "hires": self.hires,
            "show_maps": self.show_maps,
            **self.settings.to_json(),
        }
        return [values[name] for name in ORDER]


_OWN = ("enabled", "preset", "hires", "show_maps")


def arguments() -> Iterator[Setting]:
    """The declarations of all script arguments, in their order."""
    own = {one.name: one for one in (_ENABLED, _preset_argument(), _HIRES, _MAPS)}
    return (own.get(name) or declaration(name) for name in ORDER)


def argument(name: str) -> Setting:
    """The declaration of one script argument; :class:`SettingError` suggests the nearest for an unknown name."""
    if name not in ORDER:
        raise SettingError(f"no setting is called {short(name)}{nearest(str(name), dict.fromkeys(ORDER))}")
    return next(one for one in arguments() if one.name == name)


def in_preset(setting: Setting) -> bool:
    """Whether a preset has a say in this setting: it has none in how the prompt is read, and in the strength."""
    return setting.group not in ("Words", "Use", "Output", "Strength")


def preset_of(settings: Settings) -> str:
    """The name of the preset that these settings are, or "custom"."""
    method = [s.name for s in declarations() if in_preset(s)]
    for known, base in presets().items():
        if all(getattr(settings, key) == getattr(base, key) for key in method):
            return known
    return CUSTOM


def settled(args: Sequence[object]) -> dict[str, object]:
    """The value of each argument by name; they may not go together. SettingError for what cannot be read at all."""
    known = list(arguments())
    if len(args) > len(known):
        raise SettingError(f"args: at most {len(known)} values, not {len(args)}")
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
        base = preset_named(str(name))
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
        base = preset_named(str(chosen))
        out |= {s.name: getattr(base, s.name) for s in declarations() if in_preset(s)}
    return {**out, **over}


def _check_texts(settings: Settings) -> None:
    try:
        if settings.groups.strip():
            parse_groups(settings.groups)
    except GroupSyntaxError as error:
        where = f"{error.problem} (character {error.position + 1})"
        raise SettingError(f"groups = {short(settings.groups)}: {where}") from error
    if not settings.layers.strip():
        raise SettingError("layers = '': must name layers, such as 'reference', 'paper' or 'middle'")
