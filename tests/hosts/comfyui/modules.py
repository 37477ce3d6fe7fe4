"""What the extension imports of ComfyUI while it samples, as far as it uses it."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType, SimpleNamespace


class Interrupted(Exception):
    pass


def modules(device="cpu"):
    """What the extension's sampling imports of ComfyUI, as far as it uses it."""

    def area(cond, x, timestep):
        low, high = cond.get("timestep_end", 0.0), cond.get("timestep_start", 1e9)
        if not low <= float(timestep[0]) <= high:
            return None
        made = SimpleNamespace(
            input_x=x, conditioning=cond["model_conds"], control=None, patches=None, hooks=None, area=None
        )
        if "area" in cond:
            height, width, top, left = cond["area"]
            made.input_x, made.area = x[:, :, top : top + height, left : left + width], cond["area"]
        return made

    def merged(one, two):
        return {**one, **two}

    def throw():
        if interrupt.asked:
            raise Interrupted

    names: dict[str, dict] = {
        "comfy": {},
        "comfy_api": {},
        "comfy_api.latest": {"io": None},
        "comfy.ldm": {},
        "comfy.ldm.modules": {},
        "comfy.ldm.modules.attention": {"optimized_attention": None, "attention_pytorch": None},
        "comfy.model_management": {
            "InterruptProcessingException": Interrupted,
            "throw_exception_if_processing_interrupted": throw,
            "get_torch_device": lambda: SimpleNamespace(type=device),
        },
        "comfy.patcher_extension": {"merge_nested_dicts": merged, "WrappersMP": WrappersMP},
        "comfy.samplers": {"get_area_and_mult": area},
    }
    made = {}
    for name, values in names.items():
        made[name] = ModuleType(name)
        vars(made[name]).update(values)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(made[parent], child, made[name])
    return made


interrupt = SimpleNamespace(asked=False)


class WrappersMP:
    OUTER_SAMPLE, PREPARE_SAMPLING = "outer_sample", "prepare_sampling"
    PREDICT_NOISE, CALC_COND_BATCH = "predict_noise", "calc_cond_batch"


def imported(monkeypatch, name, *others, device="cpu"):
    """A module of the host (and ``others`` that it imports) with stand-ins for ComfyUI, while a test lasts."""
    own = [f"tome_ext.hosts.comfyui.{one}" for one in (name, *others)]
    for path, module in modules(device).items():
        monkeypatch.setitem(sys.modules, path, module)
    for path in own:
        monkeypatch.delitem(sys.modules, path, raising=False)
    yield importlib.import_module(own[0])
    for path in own:
        sys.modules.pop(path, None)
