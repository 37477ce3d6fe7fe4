"""Small stand-ins for gradio and the WebUI's ``modules``, with the behaviour that was seen on the real ones."""

from __future__ import annotations

import json
import re
import types
from typing import Any, ClassVar


class Component:
    """A control: what it was made with, and what it was told to do on its events."""

    made: ClassVar[list[Component]] = []

    def __init__(self, value: Any = None, **kwargs: Any) -> None:
        self.value, self.kwargs = value, kwargs
        self.elem_id, self.label = kwargs.get("elem_id"), kwargs.get("label")
        self.events: list[dict[str, Any]] = []
        for name in ("minimum", "maximum", "step", "choices"):
            if name in kwargs:
                setattr(self, name, kwargs[name])
        Component.made.append(self)

    def __enter__(self) -> Component:
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def _on(self, event: str, **kwargs: Any) -> None:
        kwargs.setdefault("inputs", [])
        self.events.append({"event": event, **kwargs})

    def input(self, **kwargs: Any) -> None:
        self._on("input", **kwargs)

    def change(self, **kwargs: Any) -> None:
        self._on("change", **kwargs)

    def click(self, **kwargs: Any) -> None:
        self._on("click", **kwargs)


class InputAccordion(Component):
    """Its control is a hidden checkbox with an id of its own."""

    def __init__(self, value: Any, **kwargs: Any) -> None:
        super().__init__(value, **{**kwargs, "elem_id": f"{kwargs['elem_id']}-checkbox"})


class Script:
    """``modules.scripts.Script``: ids carry the tab and the title in lower case."""

    is_img2img = False
    infotext_fields: Any = None
    paste_field_names: Any = None

    @property
    def tabname(self) -> str:
        return "img2img" if self.is_img2img else "txt2img"

    def elem_id(self, item: str) -> str:
        title = re.sub(r"[^a-z_0-9]", "", self.title().lower().replace(" ", "_"))  # type: ignore[attr-defined]
        return f"script_{self.tabname}_{title}_{item}"


class Plot:
    """The X/Y/Z plot's module."""

    def __init__(self) -> None:
        self.axis_options: list[Any] = [self.AxisOption(label="Token merging ratio", type=float, apply=None)]

    AxisOption = types.SimpleNamespace


class Callbacks:
    """``modules.script_callbacks``: what was registered."""

    def __init__(self) -> None:
        self.registered: dict[str, list[Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return lambda callback: self.registered.setdefault(name, []).append(callback)


def modules() -> dict[str, Any]:
    """What to put into ``sys.modules``."""
    Component.made = []
    gradio = types.ModuleType("gradio")
    for name in ("Row", "Column", "Accordion", "HTML", "Button", "Checkbox", "Dropdown", "Textbox", "Slider", "Number"):
        setattr(gradio, name, type(name, (Component,), {}))
    gradio.update = lambda **kwargs: {"__type__": "update", **kwargs}  # type: ignore[attr-defined]
    scripts = types.ModuleType("modules.scripts")
    scripts.__dict__.update(Script=Script, AlwaysVisible=object(), scripts_data=[])
    scripts.scripts_data.append(
        types.SimpleNamespace(path="/webui/scripts/xyz_grid.py", script_class=Script, module=Plot())
    )
    callbacks = Callbacks()
    components = types.ModuleType("modules.ui_components")
    components.InputAccordion = InputAccordion  # type: ignore[attr-defined]
    shared = types.ModuleType("modules.shared")
    styles = {"oil": "{prompt}, oil painting", "park": "in a park"}
    shared.__dict__.update(prompt_styles=Styles(styles), opts=types.SimpleNamespace(enable_prompt_comments=False))
    package = types.ModuleType("modules")
    package.__dict__.update(scripts=scripts, script_callbacks=callbacks, ui_components=components, shared=shared)
    return {
        "gradio": gradio,
        "modules": package,
        "modules.scripts": scripts,
        "modules.script_callbacks": callbacks,
        "modules.ui_components": components,
        "modules.shared": shared,
    }


class Styles:
    """The styles' texts: with a place for the prompt, or put behind it."""

    def __init__(self, styles: dict[str, str]) -> None:
        self.styles = styles

    def apply_styles_to_prompt(self, prompt: str, names: list[str]) -> str:
        for name in names:
            style = self.styles[name]
            prompt = style.replace("{prompt}", prompt) if "{prompt}" in style else f"{prompt}, {style}"
        return prompt


class Processing:
    """The WebUI's ``p``."""

    def __init__(self, script: Any = None, args: Any = ()) -> None:
        self.extra_generation_params: dict[str, Any] = {}
        self.comments: list[str] = []
        self.script_args = args
        self.scripts = types.SimpleNamespace(scripts=[script])

    def comment(self, text: str) -> None:
        self.comments.append(text)


def infotext_line(entries: dict[str, Any]) -> str:
    """The last line of an infotext. Values are quoted where they hold a comma, a colon or a line break."""
    shown = []
    for key, value in entries.items():
        text = str(value)
        shown.append(
            f"{key}: {json.dumps(text, ensure_ascii=False) if set(',:') & set(text) or chr(10) in text else text}"
        )
    return ", ".join(["Steps: 20", *shown, "Version: v1.10.1"])


def parse_infotext_line(line: str) -> dict[str, str]:
    """Read it as the WebUI does: quotes come off every value in quotes, and what looks like a size comes in two."""
    found: dict[str, str] = {}
    rest = line
    while rest.strip():
        key, _, rest = rest.strip().partition(":")
        rest = rest.lstrip()
        if rest.startswith('"'):
            try:
                value, length = json.JSONDecoder().raw_decode(rest)
                rest = rest[length:].lstrip(", ")
            except ValueError:
                value, _, rest = rest.partition(",")
        else:
            value, _, rest = rest.partition(",")
        size = re.fullmatch(r"(\d+)x(\d+)", value)
        found |= {f"{key}-1": size[1], f"{key}-2": size[2]} if size else {key: value}
    return found
