"""All four kinds of WebUI without one: which host they are taken for, their schedules, and the notes they keep."""

from __future__ import annotations

import importlib
import sys
import types

import pytest
import torch
from torch import nn

BACKENDS = "tome_ext.hosts.webui.backends"
OURS = [f"{BACKENDS}.{name}" for name in ("a1111", "a1111_text", "forge", "reforge")]


class Clip(nn.Module):
    """A text encoder of AUTOMATIC1111's kind."""

    def tokenize_line(self, text):
        return [types.SimpleNamespace(tokens=[49406, 49407])], 0


def stage(*embedders):
    made = nn.Module()
    made.embedders = nn.ModuleList(embedders)
    return made


def model(**parts):
    return types.SimpleNamespace(**parts)


PATCHER = types.SimpleNamespace(unet=None)
# What was read of the loaded models of each host.
MODELS = {
    "AUTOMATIC1111, SD1.5": (model(cond_stage_model=Clip()), "A1111"),
    "AUTOMATIC1111, SDXL": (model(cond_stage_model=stage(Clip(), nn.Module()), conditioner=object()), "A1111"),
    "Forge, SD1.5": (model(forge_objects=PATCHER, cond_stage_model=None, text_processing_engine=Clip()), "Forge"),
    "Forge, SDXL": (
        model(forge_objects=PATCHER, cond_stage_model=None, text_processing_engine_l=Clip()),
        "Forge",
    ),
    "reForge and Classic, SD1.5": (model(forge_objects=PATCHER, cond_stage_model=Clip()), "ReForge"),
    "reForge and Classic, SDXL": (
        model(forge_objects=PATCHER, cond_stage_model=stage(Clip(), Clip()), conditioner=object()),
        "ReForge",
    ),
    "Forge Neo, SD1.5": (
        model(
            forge_objects=PATCHER,
            cond_stage_model=nn.ModuleDict({"clip_l": nn.Module()}),
            text_processing_engine=Clip(),
        ),
        "Forge",
    ),
    "Forge Neo, SDXL refiner": (
        model(forge_objects=PATCHER, cond_stage_model=nn.ModuleDict(), text_processing_engine_g=Clip()),
        "Forge",
    ),
    "Forge Neo, a model without CLIP": (
        model(forge_objects=PATCHER, cond_stage_model=nn.ModuleDict(), text_processing_engine_anima=nn.Module()),
        "Forge",
    ),
}


def _old(prompts, base_steps, hires_steps=None, use_old_scheduling=False):
    return [[[hires_steps or base_steps, f"{prompt}, old={use_old_scheduling}"]] for prompt in prompts]


def _new(prompts, base_steps, hires_steps=None):
    return [[[hires_steps or base_steps, prompt]] for prompt in prompts]


@pytest.fixture
def webui(monkeypatch):
    """The modules that every host has, with ``schedules`` for their function."""
    names = ("devices", "errors", "prompt_parser", "sd_samplers", "sd_samplers_common", "sd_samplers_kdiffusion")
    fakes = {name: types.ModuleType(f"modules.{name}") for name in (*names, "sd_unet", "shared")}
    package = types.ModuleType("modules")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "modules", package)
    for name, one in fakes.items():
        monkeypatch.setitem(sys.modules, one.__name__, one)
        setattr(package, name, one)
    fakes["sd_samplers"].find_sampler_config = lambda name: None
    fakes["prompt_parser"].get_multicond_prompt_list = lambda prompts: (
        [[(number, 1.0)] for number in range(len(prompts))],
        list(prompts),
        {},
    )
    fakes["prompt_parser"].SdConditioning = lambda texts, *_: texts
    fakes["shared"].opts = types.SimpleNamespace()
    for name in OURS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield types.SimpleNamespace(**fakes)
    for name in OURS:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("kind", MODELS)
def test_a_host_is_known_by_what_its_model_can_do(webui, kind):
    from tome_ext.hosts.webui.backends.detect import host_for

    loaded, expected = MODELS[kind]
    assert type(host_for(loaded)).__name__ == expected


@pytest.mark.parametrize("kind", MODELS)
def test_texts_go_through_the_tokenizer_that_the_model_has(webui, kind):
    from tome_ext.hosts.webui.backends.detect import host_for

    loaded, _ = MODELS[kind]
    webui.shared.sd_model = loaded
    p = types.SimpleNamespace(width=64, height=64)
    if "without CLIP" in kind:
        with pytest.raises(LookupError, match="no tokens that could be merged"):
            host_for(loaded).encoder(p, False)
    else:
        assert host_for(loaded).encoder(p, False).chunks("a cat")[0].tokens == [49406, 49407]


@pytest.mark.parametrize("takes_old", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_schedules_are_asked_for_as_the_host_s_own_function_takes_it(webui, takes_old, second):
    """Forge Neo has neither the argument nor the option."""
    webui.prompt_parser.get_learned_conditioning_prompt_schedules = _old if takes_old else _new
    if takes_old:
        webui.shared.opts.use_old_scheduling = True
    schedules = importlib.import_module(f"{BACKENDS}.a1111_text").schedules
    p = types.SimpleNamespace(
        prompts=["a cat"],
        hr_prompts=["a dog"],
        firstpass_steps=10,
        steps=10,
        hr_second_pass_steps=7,
        hr_sampler_name=None,
        sampler_name="Euler",
    )
    entry = types.SimpleNamespace(end_at_step=7 if second else 10, cond=torch.zeros(77, 4))
    encoded = types.SimpleNamespace(batch=[[types.SimpleNamespace(schedules=[entry])]])
    (((made,),),) = schedules(p, second, encoded)
    assert made.text == ("a dog" if second else "a cat") + (", old=True" if takes_old else "")
    assert (made.end_at_step, made.length) == (entry.end_at_step, 77)


class _Meta(type):
    pass


def _holders(kind):
    """The module that a host keeps its notes in, and the object there."""
    if kind == "AUTOMATIC1111, reForge, Classic":
        module = types.ModuleType("modules.sd_hijack")
        holder = module.model_hijack = types.SimpleNamespace(extra_generation_params={"a": "1"}, comments=["theirs"])
        return module, holder, ("extra_generation_params", "comments")
    if kind == "Forge":
        module = types.ModuleType("backend.text_processing.classic_engine")
        module.last_extra_generation_params = {"a": "1"}
        return module, module, ("last_extra_generation_params",)
    module = types.ModuleType("backend.args")
    holder = module.dynamic_args = _Meta("dynamic_args", (), {"last_extra_generation_params": {"a": "1"}})
    return module, holder, ("last_extra_generation_params",)


@pytest.mark.parametrize("replaces", [True, False])
@pytest.mark.parametrize("kind", ["AUTOMATIC1111, reForge, Classic", "Forge", "Forge Neo"])
def test_what_is_noted_of_our_own_texts_is_forgotten(monkeypatch, kind, replaces):
    from tome_ext.hosts.webui.backends.notes import infotext_undisturbed

    module, holder, names = _holders(kind)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    before = {name: (getattr(holder, name), getattr(holder, name).copy()) for name in names}
    with pytest.raises(RuntimeError, match="while encoding"), infotext_undisturbed():
        for name in names:
            if replaces:
                setattr(holder, name, {"Emphasis": "ours"} if name != "comments" else ["ours"])
            elif name == "comments":
                holder.comments.append("ours")
            else:
                getattr(holder, name)["Emphasis"] = "ours"
        raise RuntimeError("while encoding")
    for name, (notes, content) in before.items():
        assert getattr(holder, name) is notes
        assert notes == content


def test_notes_are_looked_for_only_in_what_the_host_has_loaded(monkeypatch):
    from tome_ext.hosts.webui.backends.notes import infotext_undisturbed

    for name in ("modules.sd_hijack", "backend.args", "backend.text_processing.classic_engine"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    before = set(sys.modules)
    with infotext_undisturbed():
        pass
    assert not {name for name in set(sys.modules) - before if name.startswith(("modules", "backend"))}
