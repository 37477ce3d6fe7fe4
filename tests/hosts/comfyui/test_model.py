"""Which models can be refined, how ToMe is put into them, and the memory that the host is asked to leave."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import nn

from tests.hosts.comfyui.modules import WrappersMP, imported
from tests.hosts.comfyui.standins import Clip
from tests.models import sdxl_unet
from tome_ext.hosts.comfyui.bound import bind
from tome_ext.hosts.comfyui.report import RunReport
from tome_ext.hosts.comfyui.text import ClipEncoder, conditionings
from tome_ext.hosts.common.text import encode_prompt
from tome_ext.settings import preset


def loaded(monkeypatch, device):
    yield from imported(monkeypatch, "model", "sampling", "call", device=device)


@pytest.fixture
def model(monkeypatch):
    yield from loaded(monkeypatch, "cpu")


@pytest.fixture
def gpu(monkeypatch):
    yield from loaded(monkeypatch, "cuda")


class Patcher:
    """ComfyUI's ModelPatcher."""

    def __init__(self, unet=None, flow=False):
        scale = (lambda sigma, x: x) if flow else (lambda sigma, x: x / (sigma**2 + 1) ** 0.5)
        self.model = SimpleNamespace(
            diffusion_model=sdxl_unet() if unet is None else unet,
            model_sampling=SimpleNamespace(calculate_input=scale, sigma_data=1.0),
            memory_required=lambda shape: shape[0] * 2**20,
        )
        self.wrappers, self.options = [], {}

    def clone(self, disable_dynamic=False):
        made = Patcher(self.model.diffusion_model)
        made.wrappers, made.options = list(self.wrappers), {"disable_dynamic": disable_dynamic}
        return made

    def remove_wrappers_with_key(self, kind, key):
        self.wrappers = [one for one in self.wrappers if one[:2] != (kind, key)]

    def add_wrapper_with_key(self, kind, key, wrapper):
        self.wrappers.append((kind, key, wrapper))


class OlderPatcher(Patcher):
    def clone(self):
        return super().clone()


def refined(model, patcher):
    return model.refined(patcher, RunReport(), lambda text: None, maps=False)


def test_stable_diffusion_can_be_refined(model):
    assert model.obstacle(Patcher()) == ""


def test_others_cannot_with_a_sentence_that_says_why(model):
    assert "no UNet with cross-attention" in model.obstacle(Patcher(nn.Linear(2, 2)))
    assert "flow-matching" in model.obstacle(Patcher(flow=True))


def test_the_model_itself_stays_as_it_is_and_twice_is_once(model):
    patcher = Patcher()
    once = refined(model, patcher)
    twice = refined(model, once)
    assert patcher.wrappers == []
    assert sorted(kind for kind, _, _ in twice.wrappers) == sorted(
        value for name, value in vars(WrappersMP).items() if not name.startswith("_")
    )


@pytest.mark.parametrize(("kind", "expected"), [(Patcher, {"disable_dynamic": True}), (OlderPatcher, None)])
def test_paged_weights_are_switched_off_where_the_host_can(model, kind, expected):
    made = refined(model, kind())
    assert expected is None or made.options == expected


def asked(module, settings):
    """The shape that the host is given to plan with, for a picture of 64 x 64."""
    clip, text = Clip(), "a red cat and a blue dog"
    prompt = encode_prompt(ClipEncoder(clip), text, settings, refine=True)
    entry = bind(conditionings(clip, text)[0], prompt, settings)
    shapes = []
    module.prepare_sampling(
        lambda model, shape, conds, **more: shapes.append(list(shape)),
        Patcher(),
        [2, 4, 64, 64],
        {"positive": [entry[1]]},
    )
    return shapes[0]


def test_the_host_leaves_memory_for_the_backward_pass(gpu):
    settings = preset("balanced").replace(parser="builtin")
    images, *rest = asked(gpu, settings)
    assert rest == [4, 64, 64]
    more = asked(gpu, settings.replace(resolution=1.0))[0]
    assert 2 < images < more


def test_merging_alone_needs_none(gpu):
    assert asked(gpu, preset("fast").replace(parser="builtin")) == [2, 4, 64, 64]


def test_on_a_cpu_nothing_is_planned(model):
    assert asked(model, preset("paper").replace(parser="builtin")) == [2, 4, 64, 64]
