"""All settings of the method together."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from tome_ext.settings.declaration import Setting, SettingError, Value, declare, nearest, short
from tome_ext.settings.merging import MergingSettings
from tome_ext.settings.prompt import PromptSettings
from tome_ext.settings.refinement import AuthorsSettings, LossSettings, RefinementSettings
from tome_ext.settings.strength import StrengthSettings


@dataclass(frozen=True)
class Settings(AuthorsSettings, LossSettings, RefinementSettings, MergingSettings, PromptSettings, StrengthSettings):
    """All settings of the method; the defaults are the preset ``balanced``.

    Values are checked on construction. Raises :class:`SettingError`, which names the setting, the value
    and the allowed range.
    """

    def __post_init__(self) -> None:
        """Check every value."""
        for setting in declarations():
            object.__setattr__(self, setting.name, setting.validate(getattr(self, setting.name)))
        if self.window_start > self.window_stop:
            raise SettingError(
                f"window_start = {self.window_start:g}: must not be greater than window_stop = {self.window_stop:g}"
            )

    @property
    def refines(self) -> bool:
        """Whether these settings ask for any extra UNet pass."""
        maps = self.iterations > 0 and (self.entropy_weight > 0 or self.position_weight > 0)
        updates = self.binding_iterations if self.order == "separate" else self.iterations
        wanted = maps or (updates > 0 and self.binding_weight > 0)
        return self.strength > 0 and self.window_stop > self.window_start and wanted

    @property
    def scaled(self) -> Settings:
        """The same for refinement, with the strength in the step sizes."""
        if self.strength == 1:
            return self
        sizes = {name: getattr(self, name) * self.strength for name in ("step_size", "binding_step_size")}
        scaled = copy.copy(self)
        for name, size in {**sizes, "strength": 1.0}.items():
            object.__setattr__(scaled, name, size)  # may lie above what a user may ask for
        return scaled

    def replace(self, /, **values: object) -> Settings:
        """A copy with other values; unknown names raise :class:`SettingError` with the nearest known one."""
        for name in values:
            declaration(name)
        return dataclasses.replace(self, **values)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Value]:
        """All settings by name; :func:`tome_ext.settings.settings_from_json` reads it back."""
        return dataclasses.asdict(self)


_DECLARATIONS = {field.name: declare(field) for field in dataclasses.fields(Settings)}


def declarations() -> Iterator[Setting]:
    """The declarations of all settings, in their order."""
    return iter(_DECLARATIONS.values())


def declaration(name: str) -> Setting:
    """The declaration of one setting; :class:`SettingError` suggests the nearest for an unknown name."""
    if name not in _DECLARATIONS:
        raise SettingError(f"no setting is called {short(name)}{nearest(name, _DECLARATIONS)}")
    return _DECLARATIONS[name]
