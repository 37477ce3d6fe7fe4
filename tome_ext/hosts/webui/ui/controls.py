"""The controls, made from the declarations of the script arguments."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import gradio as gr
from modules.ui_components import InputAccordion

from tome_ext.hosts.webui.ui.labels import ADVANCED, PLACEHOLDERS, PREVIEW, PREVIEW_HELP, label
from tome_ext.hosts.webui.ui.options import CUSTOM, argument, arguments, in_preset
from tome_ext.hosts.webui.ui.preview import preview
from tome_ext.hosts.webui.ui.slowdown import slowdown
from tome_ext.settings import Setting, SettingError, Settings, declarations, preset

_SLIDER_MAXIMUM = 100.0


class Controls:
    """The controls of one tab, by the name of their argument."""

    def __init__(self, elem_id: Callable[[str], str]) -> None:
        self._elem_id = elem_id
        self.by_name: dict[str, Any] = {}

    def build(self) -> None:
        """Create all controls where the caller's layout stands."""
        enabled = argument("enabled")
        accordion = InputAccordion(enabled.default, label=label(enabled), elem_id=self._elem_id("enabled"))
        self.by_name["enabled"] = accordion
        with accordion:
            with gr.Row(equal_height=True):
                self._add("preset", "hires")
            self.cost = gr.HTML(_cost_line(preset(str(argument("preset").default))), elem_classes=["tome-cost"])
            self._words()
            for _, group in itertools.groupby((s for s in declarations() if not s.advanced), key=lambda s: s.group):
                names = [s.name for s in group if s.name not in self.by_name]
                if names:
                    with gr.Row():
                        self._add(*names)
            self._add("show_maps")
            with gr.Accordion(ADVANCED, open=False, elem_id=self._elem_id("advanced")):
                self._advanced()

    def _words(self) -> None:
        with gr.Row(elem_classes=["tome-words"]):
            self._add("groups")
            self.preview_button = gr.Button(
                PREVIEW,
                elem_id=self._elem_id("preview"),
                scale=0,
                min_width=100,
                elem_classes=["tome-preview-button"],
                tooltip=PREVIEW_HELP,
            )
        self.preview = gr.HTML("", elem_id=self._elem_id("preview_result"), elem_classes=["tome-preview-result"])

    def _advanced(self) -> None:
        left = [s for s in arguments() if s.name not in self.by_name]
        for group, members in itertools.groupby(left, key=lambda s: s.group):
            gr.HTML(f"<b>{group}</b>", elem_classes=["tome-heading"])
            names = [s.name for s in members]
            for start in range(0, len(names), 2):
                with gr.Row():
                    self._add(*names[start : start + 2])

    def _add(self, *names: str) -> None:
        for name in names:
            self.by_name[name] = component(argument(name), self._elem_id(name))

    def connect(self, boxes: Mapping[str, Any]) -> None:
        """What happens on a click or a change. ``boxes``: the tab's own prompt and styles, where there are any."""
        method = [s.name for s in declarations() if in_preset(s)]
        chosen = self.by_name["preset"]
        controls = [self.by_name[name] for name in method]
        chosen.input(fn=fill, inputs=[chosen], outputs=[*controls, self.cost], show_progress="hidden")
        for name in method:
            # In the browser alone, so that a quick click on Generate already finds it.
            self.by_name[name].input(fn=None, _js=f"() => '{CUSTOM}'", inputs=[], outputs=[chosen])
        for control in controls:
            control.input(fn=cost_of, inputs=controls, outputs=[self.cost], show_progress="hidden")
        if "prompt" in boxes:
            words = [self.by_name[name] for name in ("groups", "parser", "clean_prompt")]
            inputs = [boxes["prompt"], *([boxes["styles"]] if "styles" in boxes else []), *words]
            show = preview if "styles" in boxes else (lambda prompt, *rest: preview(prompt, [], *rest))
            self.preview_button.click(fn=show, inputs=inputs, outputs=[self.preview], show_progress="hidden")


def component(setting: Setting, elem_id: str) -> Any:
    """The control for one argument."""
    common: dict[str, Any] = {
        "label": label(setting),
        "value": setting.default,
        "elem_id": elem_id,
        "tooltip": setting.help,
    }
    if setting.kind == "bool":
        return gr.Checkbox(**common)
    if setting.kind == "choice":
        return gr.Dropdown(choices=list(setting.choices), **common)
    if setting.kind == "text":
        return gr.Textbox(lines=1, max_lines=8, placeholder=PLACEHOLDERS.get(setting.name, ""), **common)
    assert setting.maximum is not None
    limits = {"minimum": setting.minimum, "maximum": setting.maximum, "step": setting.step}
    if setting.maximum > _SLIDER_MAXIMUM:
        return gr.Number(**limits, **common)
    return gr.Slider(**limits, **common)


def fill(name: str) -> list[Any]:
    """The values of a preset for all controls that it decides, and the line about its cost."""
    method = [s.name for s in declarations() if in_preset(s)]
    if name == CUSTOM:
        return [gr.update() for _ in (*method, "cost")]
    settings = preset(name)
    return [*(gr.update(value=getattr(settings, key)) for key in method), gr.update(value=_cost_line(settings))]


def cost_of(*values: Any) -> str:
    """The line about the cost of the values of all controls that presets decide."""
    names = [s.name for s in declarations() if in_preset(s)]
    try:
        return _cost_line(Settings().replace(**dict(zip(names, values, strict=True))))
    except SettingError as error:
        return _cost_html(str(error))


def _cost_line(settings: Settings) -> str:
    return _cost_html(slowdown(settings))


def _cost_html(text: str) -> str:
    return f"<p>{escape(text)}</p>"
