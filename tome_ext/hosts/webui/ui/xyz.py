"""Axes for the X/Y/Z plot, made from the declarations.

An axis puts its value, by name, into the place of the preset among the script arguments (see
:meth:`tome_ext.hosts.webui.ui.options.Options.from_args`). So the order of the axes does not matter, and the values
reach other machines as script arguments do.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tome_ext.hosts.webui.ui.options import TITLE, Options, arguments, settled
from tome_ext.settings import Setting, SettingError, Settings, Value

MARK = "[ToMe]"
_TYPES: dict[str, type] = {"int": int, "float": float}
# The plot's own axes that load another model.
_CHECKPOINTS = {"Checkpoint name", "Refiner checkpoint"}
_WINDOW = ("window_start", "window_stop")
_PRESET_PLACE = [setting.name for setting in arguments()].index("preset")


class PlotError(SettingError):
    """Why a plot does not begin. The host's API answers with the two attributes; its page shows the message."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.status_code, self.detail = 422, message


def add_axes() -> None:
    """Add the axes to the plot, once, where the plot is installed."""
    plot = _plot()
    if plot is None or any(option.label.startswith(MARK) for option in plot.module.axis_options):
        return
    plot.module.axis_options.extend(axes(plot.module.AxisOption))


def axes(option: Callable[..., Any]) -> Iterator[Any]:
    """One axis for each argument that changes the image."""
    for setting in arguments():
        if setting.name != "show_maps":
            yield option(
                label=_axis(setting),
                type=_TYPES.get(setting.kind, str),
                apply=_apply(setting),
                confirm=_confirm(setting),
                choices=_choices(setting),
            )


def _plot() -> Any:
    """The host's entry for the plot: its class, whose name differs between hosts, and its module."""
    from modules import scripts

    return next((data for data in scripts.scripts_data if Path(data.path).name == "xyz_grid.py"), None)


def _confirm(setting: Setting) -> Callable[[Any, Sequence[object]], None]:
    def confirm(p: Any, values: Sequence[object]) -> None:
        """Raise PlotError, before the first image is made, where cells would be plain images."""
        try:
            _check(p, setting, values)
        except SettingError as error:
            raise PlotError(str(error)) from error

    return confirm


def _check(p: Any, setting: Setting, values: Sequence[object]) -> None:
    read = [_read(setting, value) for value in values]
    if setting.name in _WINDOW:
        _fit(p, setting.name, read)
    else:
        for value in read:
            Options.from_args([True, {setting.name: value}])
    if setting.name == "layers":
        _check_layers(p, map(str, read))
    if setting.name != "enabled" and not settled(_ours(p)).get("enabled") and "enabled" not in _plotted(p):
        raise SettingError(f"{TITLE} is off, and every image would be the same: enable it, or plot {MARK} Enabled")


def _check_layers(p: Any, values: Iterable[str]) -> None:
    """The layers are there in the loaded model, where that is the one of all cells. Loads none."""
    model = getattr(getattr(sys.modules.get("modules.sd_models"), "model_data", None), "sd_model", None)
    others = "sd_model_checkpoint" in (getattr(p, "override_settings", None) or {}) or _CHECKPOINTS & _axes(p)
    if model is None or others:
        return
    from tome_ext.hosts.webui.backends.detect import host_for
    from tome_ext.method.layers import select_layers

    network = host_for(model).unet()
    for value in values:
        try:
            if network is not None:
                select_layers(network, value)
        except ValueError as error:
            raise SettingError(str(error)) from error


def _fit(p: Any, name: str, values: Sequence[Value]) -> None:
    """The window begins before it ends, as far as its other end is known: no axis decides it."""
    if ({*_WINDOW, "preset"} - {name}) & set(_plotted(p)):
        return
    given = settled(_ours(p))
    for value in values:
        Settings().replace(**{**{end: given[end] for end in _WINDOW}, name: value})


def _plotted(p: Any) -> list[str]:
    """The names of our arguments that the plot in ``p`` has axes for."""
    labels = _axes(p)
    return [setting.name for setting in arguments() if _axis(setting) in labels]


def _axes(p: Any) -> set[str]:
    """The labels of the axes of the plot in ``p``."""
    plot = _plot()
    for script in p.scripts.scripts:
        if plot is not None and isinstance(script, plot.script_class):
            given = p.script_args[script.args_from : script.args_to]
            by_name = dict(zip(list(inspect.signature(script.run).parameters)[1:], given, strict=False))
            chosen = [by_name.get(f"{axis}_type") or 0 for axis in "xyz"]
            return {script.current_axis_options[number].label for number in chosen}
    return set()


def _axis(setting: Setting) -> str:
    return f"{MARK} {setting.label}"


def _script(p: Any) -> Any:
    return next(one for one in p.scripts.scripts if one.name == TITLE.lower())


def _ours(p: Any) -> list[object]:
    """The extension's arguments among those of all scripts."""
    script = _script(p)
    return list(p.script_args[script.args_from : script.args_to])


def _apply(setting: Setting) -> Callable[[Any, object, object], None]:
    def apply(p: Any, value: object, _all: object) -> None:
        script = _script(p)
        args = list(p.script_args)
        args[script.args_from : script.args_to] = overlaid(_ours(p), setting.name, _read(setting, value))
        p.script_args = type(p.script_args)(args)

    return apply


def overlaid(args: Sequence[object], name: str, value: Value) -> list[object]:
    """Script arguments in which one more value counts over everything else."""
    over = args[_PRESET_PLACE]
    if isinstance(over, Mapping):
        out: list[object] = list(args)
        return [*out[:_PRESET_PLACE], {**over, name: value}, *out[_PRESET_PLACE + 1 :]]
    return list({**settled(args), "preset": {name: value}}.values())


def _choices(setting: Setting) -> Callable[[], list[str]] | None:
    """What the plot offers to fill in."""
    if setting.kind == "bool":
        return lambda: ["true", "false"]
    if setting.kind == "choice":
        return lambda: [choice for choice in setting.choices if (setting.name, choice) != ("preset", "custom")]
    return None


def _read(setting: Setting, value: object) -> Value:
    return setting.parse(value) if isinstance(value, str) else setting.validate(value)
