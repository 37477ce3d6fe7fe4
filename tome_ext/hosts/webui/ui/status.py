"""What the panel says about the chosen values: what they are for, what they cost, and which of them do nothing."""

from __future__ import annotations

import json
import sys
from html import escape

from tome_ext.cost.estimate import estimate
from tome_ext.hosts.webui.ui.labels import COSTS, PRESETS_SAY, label
from tome_ext.hosts.webui.ui.options import ORDER, argument, preset_of
from tome_ext.hosts.webui.ui.user_presets import own
from tome_ext.settings import Settings, declarations

OBJECTS = 2  # where the prompt's own are not known


def ratio(settings: Settings, *, steps: int = 30, guided: bool = True, objects: int | None = None) -> float:
    """The computation of a run in that of plain sampling, on the kind of model that is loaded."""
    count = OBJECTS if objects is None else objects
    kind = model()
    return estimate(settings, kind, steps=max(1, steps), objects=count, guided=guided) if count and kind else 1.0


def model() -> str:
    """The kind of the loaded model, as the estimate knows them; empty for Flux, SD3 and the like. Loads none."""
    data = getattr(sys.modules.get("modules.sd_models"), "model_data", None)
    loaded = getattr(data, "sd_model", None)
    flags = {flag: getattr(loaded, flag) for flag in ("is_sd1", "is_sd2", "is_sdxl") if hasattr(loaded, flag)}
    if not flags or flags.get("is_sdxl"):
        return "sdxl"
    return "sd15" if any(flags.values()) else ""


def status(settings: Settings, *, steps: int = 30, guided: bool = True, objects: int | None = None) -> str:
    """An HTML fragment. Each fixed text is a text node of its own, for the WebUI's localization."""
    name = preset_of(settings)
    says = PRESETS_SAY.get(name, PRESETS_SAY["own"])
    if not model():
        cost = f"<span>{COSTS['unsuited']}</span>"
    elif settings.strength == 0:
        cost = f"<span>{COSTS['off']}</span>"
    elif not settings.refines or objects == 0:
        cost = f"<span>{COSTS['none']}</span>"
    else:
        times = ratio(settings, steps=steps, guided=guided, objects=objects)
        cost = f"<span>{COSTS['times']}</span> <b>{times:.2f}</b> <span>{COSTS['plain']}</span>"
        shown = {"steps": steps, "objects": OBJECTS if objects is None else objects}
        cost += "".join(f" · <span>{COSTS[key]}</span> {value}" for key, value in shown.items())
        cost += "" if guided else f" · <span>{COSTS['unguided']}</span>"
    lines = [f"<span>{escape(says)}</span>", cost, _hidden(settings), *map(escape, own().problems)]
    shown_lines = "".join(f"<p>{line}</p>" for line in lines if line)
    idle = escape(json.dumps(without_effect(settings)))
    return f'<div class="tome-status" data-idle="{idle}">{shown_lines}</div>'


def failed(problem: str) -> str:
    """The same, where the values do not go together; names of settings become what the panel calls them."""
    for name in sorted(ORDER, key=len, reverse=True):
        problem = problem.replace(f"{name} =", f"{label(argument(name))} =")
    return f'<div class="tome-status" data-idle="[]"><p class="tome-error">{escape(problem)}</p></div>'


def _hidden(settings: Settings) -> str:
    """Values that the panel does not show and that no preset's name stands for."""
    if preset_of(settings) != "custom":
        return ""
    default = Settings()
    changed = [s for s in declarations() if s.hidden and getattr(settings, s.name) != getattr(default, s.name)]
    listed = ", ".join(f"{label(s)} = {s.format(getattr(settings, s.name))}" for s in changed)
    return f"<span>{COSTS['hidden']}</span> {escape(listed)}" if listed else ""


def without_effect(settings: Settings) -> list[str]:
    """The names of the settings in the panel that change nothing as the others stand."""
    idle: set[str] = set()
    groups = {s.name: s.group for s in declarations()}
    if settings.strength == 0:
        return [name for name in ORDER if name not in ("enabled", "preset", "strength")]
    if not settings.refines:
        idle |= {name for name, group in groups.items() if group in ("Refinement", "Losses", "Authors' code")}
        # All but what keeps it from refining.
        if settings.window_stop <= settings.window_start:
            idle -= {"window_start", "window_stop"}
        elif settings.iterations == 0:
            idle -= {"iterations"}
        else:
            idle -= {"entropy_weight", "binding_weight", "position_weight"}
    maps = settings.entropy_weight > 0 or settings.position_weight > 0
    if not maps:
        idle |= {"layers", "entropy_target", "entropy_form", "update"}
    if settings.entropy_form == "reference":
        idle.add("entropy_target")
    if settings.step_size == 0:
        idle |= {"step_decay", "descent"}
    if settings.ets == "off":
        idle |= {"ets_start"} | ({"clean_prompt"} if settings.pooled == "keep" else set())
    return [name for name in ORDER if name in idle]
