from __future__ import annotations

import pytest

from tome_ext.hosts.webui.ui.slowdown import ratio, slowdown
from tome_ext.settings import Settings, preset


def test_merging_alone_adds_no_pass():
    assert ratio(preset("fast")) == pytest.approx(1, abs=5e-4)  # the clean prompt's encoding
    assert "No pass" in slowdown(preset("fast"))


@pytest.mark.parametrize(
    "settings",
    [
        Settings(binding_weight=0.0, layers="paper"),
        Settings(entropy_weight=0.0, order="separate", phrase_latent="own", binding_iterations=1, iterations=0),
        pytest.param(preset("balanced"), marks=pytest.mark.slow),
        pytest.param(preset("reference"), marks=pytest.mark.slow),
    ],
    ids=["entropy", "binding", "balanced", "reference"],
)
def test_it_is_what_is_counted_on_the_full_size_network(settings):
    pytest.importorskip("diffusers")
    from tome_ext.cost.count import Run, count
    from tome_ext.cost.models import architecture

    assert ratio(settings) == pytest.approx(count(architecture("sdxl"), settings, Run()).ratio, rel=0.02)
