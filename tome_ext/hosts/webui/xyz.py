"""Axes for the X/Y/Z plot, made from the declarations.

An axis puts its value, by name, into the place of the preset among the script arguments (see
:meth:`tome_ext.hosts.webui.options.Options.from_args`). So the order of the axes does not matter, and the values
reach other machines as script arguments do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tome_ext.hosts.webui.options import TITLE, Options, arguments
from tome_ext.settings import Setting, Value

MARK = "[ToMe]"
_TYPES: dict[str, type] = {"int": int, "float": float}
_PRESET_PLACE = [setting.name for setting in arguments()].index("preset")


def add_axes() -> None:
    """Add the axes to the plot, once, where the plot is installed."""
    module = _plot()
    if module is None or any(option.label.startswith(MARK) for option in module.axis_options):
        return
    module.axis_options.extend(axes(module.AxisOption))


def axes(option: Callable[..., Any]) -> Iterator[Any]:
    """One axis for each argument that changes the image."""
    for setting in arguments():
        if setting.name != "show_maps":
            yield option(
                label=f"{MARK} {setting.label}",
                type=_TYPES.get(setting.kind, str),
                apply=_apply(setting),
                confirm=_confirm(setting),
                choices=_choices(setting),
            )


def _plot() -> Any:
    from modules import scripts

    return next((data.module for data in scripts.scripts_data if Path(data.path).name == "xyz_grid.py"), None)


def _confirm(setting: Setting) -> Callable[[Any, Sequence[object]], None]:
    def confirm(_p: Any, values: Sequence[object]) -> None:
        """Raise SettingError, before the first image is made, for a value that is not allowed."""
        for value in values:
            Options.from_args([True, {setting.name: _read(setting, value)}])

    return confirm


def _apply(setting: Setting) -> Callable[[Any, object, object], None]:
    def apply(p: Any, value: object, _all: object) -> None:
        script = next(one for one in p.scripts.scripts if one.name == TITLE.lower())
        args = list(p.script_args)
        ours = args[script.args_from : script.args_to]
        args[script.args_from : script.args_to] = overlaid(ours, setting.name, _read(setting, value))
        p.script_args = type(p.script_args)(args)

    return apply


def overlaid(args: Sequence[object], name: str, value: Value) -> list[object]:
    """Script arguments in which one more value counts over everything else."""
    over = args[_PRESET_PLACE]
    if isinstance(over, Mapping):
        out: list[object] = list(args)
        return [*out[:_PRESET_PLACE], {**over, name: value}, *out[_PRESET_PLACE + 1 :]]
    settled: list[object] = list(Options.from_args(args).to_args())
    return [*settled[:_PRESET_PLACE], {name: value}, *settled[_PRESET_PLACE + 1 :]]


def _choices(setting: Setting) -> Callable[[], list[str]] | None:
    """What the plot offers to fill in."""
    if setting.kind == "bool":
        return lambda: ["true", "false"]
    if setting.kind == "choice":
        return lambda: [choice for choice in setting.choices if (setting.name, choice) != ("preset", "custom")]
    return None


def _read(setting: Setting, value: object) -> Value:
    return setting.parse(value) if isinstance(value, str) else setting.validate(value)
