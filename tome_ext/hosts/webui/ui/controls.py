"""The controls, made from the declarations of the script arguments."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr
from modules.ui_components import InputAccordion

from tome_ext.hosts.webui.ui import labels, preferences, user_presets
from tome_ext.hosts.webui.ui.labels import OWN_PRESETS, label
from tome_ext.hosts.webui.ui.options import CUSTOM, argument, arguments, in_preset
from tome_ext.hosts.webui.ui.preview import preview, with_groups
from tome_ext.hosts.webui.ui.status import failed, status
from tome_ext.settings import DEFAULT_PRESET, PRESETS, Setting, SettingError, Settings, declarations, own_presets

_SLIDER_MAXIMUM = 100.0
# What the panel of a tab takes from the tab, where it is there: a default for each.
_BOXES: dict[str, Any] = {"prompt": "", "styles": [], "steps": 30, "cfg_scale": 7.0}


class Controls:
    """The controls of one tab, by the name of their argument. ``values``: defaults other than the declared ones."""

    def __init__(
        self, elem_id: Callable[[str], str], *, second_pass: bool = True, values: Mapping[str, Any] | None = None
    ) -> None:
        self._elem_id, self._second_pass, self._values = elem_id, second_pass, dict(values or {})
        self.by_name: dict[str, Any] = {}

    def build(self) -> None:
        """Create all controls where the caller's layout stands."""
        enabled = argument("enabled")
        accordion = InputAccordion(enabled.default, label=label(enabled), elem_id=self._elem_id("enabled"))
        self.by_name["enabled"] = accordion
        with accordion:
            with gr.Row(equal_height=True, elem_classes=["tome-first"]):
                self._add("preset", "strength")
            self._words()
            self.status = gr.HTML(self._first_status(), elem_id=self._elem_id("status"))
            self.status_button = self._button("status_button", "status", "", hidden=True)
            self.defaults_button = self._button("defaults_button", "defaults", "", hidden=True)
            with gr.Accordion(labels.ADVANCED, open=False, elem_id=self._elem_id("advanced")):
                self._rest()
                self._own_presets()
            for setting in arguments():
                if setting.name not in self.by_name:
                    self._add(setting.name, visible=False)

    def _words(self) -> None:
        with gr.Row(elem_classes=["tome-words"]):
            self._add("groups")
            self.preview_button = self._button("preview", labels.PREVIEW, labels.PREVIEW_HELP)
            self._button("undo", labels.UNDO, labels.UNDO_HELP)
        self.preview = gr.HTML("", elem_id=self._elem_id("preview_result"), elem_classes=["tome-preview-result"])

    def _button(self, name: str, text: str, tooltip: str, *, hidden: bool = False, scale: int = 0) -> Any:
        classes = ["tome-hidden"] if hidden else ["tome-button"]
        return gr.Button(
            text, elem_id=self._elem_id(name), scale=scale, min_width=90, elem_classes=classes, tooltip=tooltip or None
        )

    def _rest(self) -> None:
        left = [s for s in arguments() if s.name not in self.by_name and not s.hidden]
        if not self._second_pass:
            left = [s for s in left if s.name != "hires"]
        for group, members in itertools.groupby(left, key=lambda s: s.group):
            gr.HTML(f"<b>{escape(group)}</b>", elem_classes=["tome-heading"])
            names = [s.name for s in members]
            for start in range(0, len(names), 2):
                with gr.Row():
                    self._add(*names[start : start + 2])

    def _own_presets(self) -> None:
        gr.HTML(f"<b>{escape(OWN_PRESETS['heading'])}</b>", elem_classes=["tome-heading"])
        self.own_name = gr.Textbox(
            label=OWN_PRESETS["name"], elem_id=self._elem_id("own_name"), tooltip=OWN_PRESETS["name_help"]
        )
        with gr.Row():
            self.own_buttons = {act: self._button(f"own_{act}", OWN_PRESETS[act], "", scale=1) for act in _ACTS}
        self.own_result = gr.HTML("", elem_id=self._elem_id("own_result"), elem_classes=["tome-own-result"])
        gr.HTML(
            f'<a href="{escape(preferences.docs())}" target="_blank" rel="noopener">{labels.DOCS}</a>',
            elem_classes=["tome-docs"],
        )

    def _add(self, *names: str, visible: bool = True) -> None:
        for name in names:
            setting = argument(name)
            value = self._values.get(name, setting.default)
            self.by_name[name] = component(setting, self._elem_id(name), value, visible=visible)

    def _first_status(self) -> str:
        values = {s.name: self._values.get(s.name, s.default) for s in declarations()}
        return status(Settings().replace(**values))

    def connect(self, boxes: Mapping[str, Any]) -> None:
        """What happens on a click or a change. ``boxes``: the tab's own controls, where there are any.

        The page's script (``javascript/``) clicks the two buttons when something that counts has changed.
        """
        method = [s.name for s in declarations() if in_preset(s)]
        chosen = self.by_name["preset"]
        quick: dict[str, Any] = {"show_progress": "hidden", "queue": False}
        chosen.input(fn=fill, inputs=[chosen], outputs=[self.by_name[name] for name in method], **quick)
        for name in method:
            # In the browser alone, so that a quick click on Generate already finds it.
            self.by_name[name].input(fn=None, _js=f"() => '{CUSTOM}'", inputs=[], outputs=[chosen])
        every = [self.by_name[s.name] for s in declarations()]
        given = {name: boxes[name] for name in _BOXES if name in boxes}
        numbers = [name for name in ("steps", "cfg_scale") if name in given]
        self.status_button.click(
            fn=lambda *values: status_of(dict(zip(numbers, values, strict=False)), values[len(numbers) :]),
            inputs=[*(given[name] for name in numbers), *every],
            outputs=[self.status],
            **quick,
        )
        if "prompt" in given:
            self.preview_button.click(
                fn=lambda *values: preview_of(dict(zip(given, values, strict=False)), values[len(given) :]),
                inputs=[*given.values(), *every],
                outputs=[self.preview, self.status],
                **quick,
            )
        self.defaults_button.click(
            fn=defaults, outputs=[chosen, self.by_name["parser"], *(self.by_name[name] for name in method)], **quick
        )
        for act, button in self.own_buttons.items():
            button.click(
                fn=_ACTS[act],
                inputs=[self.own_name, chosen, *every],
                outputs=[chosen, self.own_result],
                **quick,
            )


def component(setting: Setting, elem_id: str, value: Any, *, visible: bool = True) -> Any:
    """The control for one argument. Numbers outside the limits are refused when they are used, not by the control:
    gradio's refusal would keep the page from making any image, also with ToMe off."""
    common: dict[str, Any] = {
        "label": label(setting),
        "value": value,
        "elem_id": elem_id,
        "tooltip": setting.help,
        "visible": visible,
    }
    if setting.kind == "bool":
        return gr.Checkbox(**common)
    if setting.kind == "choice":
        return gr.Dropdown(choices=list(setting.choices), **common)
    if setting.kind == "text":
        return gr.Textbox(lines=1, max_lines=8, placeholder=labels.PLACEHOLDERS.get(setting.name, ""), **common)
    assert setting.maximum is not None
    if setting.maximum > _SLIDER_MAXIMUM:
        return gr.Number(**common)
    return gr.Slider(minimum=setting.minimum, maximum=setting.maximum, step=setting.step, **common)


def fill(name: str) -> list[Any]:
    """The values of a preset for all controls that it decides."""
    method = [s.name for s in declarations() if in_preset(s)]
    try:
        settings = None if name == CUSTOM else user_presets.preset_named(name)
    except SettingError:  # deleted meanwhile
        settings = None
    return [gr.update() if settings is None else gr.update(value=getattr(settings, key)) for key in method]


def defaults() -> list[Any]:
    """The preset and the parser of the WebUI's settings page, and that preset's values."""
    name = str(preferences.chosen(preferences.PRESET, DEFAULT_PRESET))
    known = name in user_presets.presets()
    parser = preferences.chosen(preferences.PARSER, "auto")
    return [gr.update(value=name) if known else gr.update(), gr.update(value=parser), *fill(name)]


def status_of(tab: Mapping[str, Any], values: Sequence[Any]) -> str:
    """What the panel says about the values of all settings, for the steps and the guidance of the tab."""
    try:
        return status(_settings(values), **_run(tab))
    except SettingError as error:
        return failed(str(error))


def preview_of(tab: Mapping[str, Any], values: Sequence[Any]) -> tuple[str, str]:
    """The preview of the tab's prompt, and what the panel says with as many objects as it has."""
    tab = {**_BOXES, **tab}
    groups = values[[s.name for s in declarations()].index("groups")]
    try:
        settings, problem = with_groups(_settings(values), groups), ""
    except SettingError as error:
        settings, problem = with_groups(Settings(), groups), failed(str(error))
    shown = preview(tab["prompt"], tab["styles"], settings)
    if problem:
        return shown.html, problem
    return shown.html, status(shown.settings, objects=shown.objects, **_run(tab))


def _settings(values: Sequence[Any]) -> Settings:
    """The settings of the controls' values; the groups are read by the preview."""
    return Settings().replace(**dict(zip((s.name for s in declarations()), values, strict=True)))


def _run(tab: Mapping[str, Any]) -> dict[str, Any]:
    """The tab's steps, and whether it has a negative prompt, as far as they can be read."""
    known = {**_BOXES, **{name: value for name, value in tab.items() if isinstance(value, (int, float))}}
    return {"steps": int(known["steps"]), "guided": known["cfg_scale"] != 1}


def _save(name: str, _chosen: str, *values: Any) -> tuple[Any, str]:
    return _acted(lambda folder: ("saved", own_presets.save(folder, name, _settings(values))))


def _delete(name: str, chosen: str, *_: Any) -> tuple[Any, str]:
    def act(folder: Any) -> tuple[str, str]:
        own_presets.delete(folder, name.strip() or chosen)
        return "deleted", name.strip() or chosen

    return _acted(act)


def _rename(name: str, chosen: str, *_: Any) -> tuple[Any, str]:
    return _acted(lambda folder: ("renamed", own_presets.rename(folder, chosen, name)))


_ACTS: dict[str, Callable[..., tuple[Any, str]]] = {"save": _save, "rename": _rename, "delete": _delete}


def _acted(act: Callable[[Any], tuple[str, str]]) -> tuple[Any, str]:
    """The new choice of presets, and a line about what was done or why not."""
    folder = user_presets.folder()
    try:
        if folder is None:
            raise SettingError("there is no folder for presets")
        done, name = act(folder)
    except (SettingError, OSError) as error:
        return gr.update(), f'<p class="tome-error">{escape(str(error))}</p>'
    value = DEFAULT_PRESET if done == "deleted" else name
    choices = [*PRESETS, *user_presets.own().values, CUSTOM]
    shown = f'<p class="tome-note"><span>{OWN_PRESETS[done]}</span> {escape(name)}</p>'
    return (gr.update(choices=choices) if done == "deleted" else gr.update(choices=choices, value=value)), shown
