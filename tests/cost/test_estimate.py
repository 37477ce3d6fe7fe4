from __future__ import annotations

import subprocess
import sys

import pytest

from tests.counting import calls
from tome_ext.cost.count import GIB, Run
from tome_ext.cost.estimate import estimate
from tome_ext.cost.table import _pass
from tome_ext.embedded.counts import saved_bytes
from tome_ext.settings import Settings, preset

CASES = [
    ("fast", {}, "sd15", {}),
    ("balanced", {}, "sdxl", {}),
    ("balanced", {}, "sd15", {}),
    ("paper", {}, "sd15", {"objects": 1}),
    ("reference", {"iterations": 2, "binding_iterations": 1}, "sd15", {"objects": 3, "steps": 50}),
    ("reference-attributes", {"iterations": 1}, "sd15", {"objects": 1}),
    ("balanced", {"checkpointing": "on"}, "sd15", {}),
    ("balanced", {"binding_weight": 0.0, "layers": "paper"}, "sd15", {}),
    (
        "balanced",
        {
            "entropy_weight": 0.0,
            "order": "separate",
            "phrase_latent": "own",
            "binding_iterations": 1,
            "iterations": 0,
        },
        "sd15",
        {},
    ),
    ("paper", {"iterations": 1, "every": 2, "entropy_weight": 0.0}, "sd15", {"objects": 2, "batch": 2}),
    ("balanced", {"binding_weight": 0.0, "layers": "middle"}, "sd15", {"steps": 50, "batch": 3}),
    ("reference", {"iterations": 1, "latent_step": 0.0}, "sd15", {"objects": 1, "width": 768, "height": 448}),
    ("balanced", {"resolution": 0.75, "ets": "off"}, "sd15", {"steps": 7, "width": 1024, "height": 1024}),
]


@pytest.mark.parametrize(("name", "changes", "model", "run"), CASES)
def test_the_estimate_agrees_with_what_is_counted_within_one_percent(counted, name, changes, model, run):
    settings = preset(name).replace(**changes)
    size = {} if model == "sdxl" else {"width": 512, "height": 512}
    ratio = counted(model, settings, Run(**{**size, **run})).ratio
    estimated = estimate(settings, model, **run)
    assert estimated == pytest.approx(ratio, rel=0.01)
    assert estimated - 1 == pytest.approx(ratio - 1, rel=0.01)


def test_layers_by_name_are_estimated_by_their_share_of_a_pass():
    named = "up_blocks.0.attentions.1.transformer_blocks.1, up_blocks.0.attentions.1.transformer_blocks.3"
    ratio = estimate(Settings(layers=named, binding_weight=0.0), "sdxl")
    assert ratio - 1 == pytest.approx(estimate(Settings(binding_weight=0.0), "sdxl") - 1, rel=0.05)


@pytest.mark.parametrize(("side", "model"), [(96, "sdxl"), (48, "sd15")])
def test_what_a_row_saves_is_known_for_sizes_that_were_not_counted(request, side, model):
    counted = _pass(request.getfixturevalue(model), side, None, 77).peak_saved
    assert saved_bytes(model, side, side) == pytest.approx(counted, rel=0.01)
    assert counted > 0.1 * GIB


def test_an_estimate_is_little_work_however_long_the_run():
    def work(steps):
        return calls(lambda: estimate(preset("reference"), "sdxl", steps=steps, objects=4, batch=2))

    work(50)
    assert work(1000) < 5_000


def test_the_estimate_imports_nothing_heavy():
    code = "import sys; from tome_ext.cost.estimate import estimate; from tome_ext.settings import Settings; "
    code += "estimate(Settings()); "
    code += "print(sorted({'torch', 'numpy', 'diffusers', 'transformers'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
