"""In a real Forge, Forge Neo or reForge: what refinement changes of the model is put back, whatever happens."""

from __future__ import annotations

import pytest

from tests.hosts.webui.running.server import HOST

pytestmark = [
    pytest.mark.webui,
    pytest.mark.skipif(HOST not in ("forge", "reforge", "neo"), reason="for hosts of the Forge family"),
]

KEPT = ("hooks", "own_forwards", "frozen", "inference", "callbacks", "jobs")
# Called within the gradient context, before and after the first pass through the UNet.
WITHIN = ("tome_ext.method.refine.phrase_target", "tome_ext.method.refine.descend")


def kept(webui):
    state = webui.probe()
    return {name: state[name] for name in KEPT}


@pytest.mark.parametrize("checkpoint", ["sdxl", "sd15"])
@pytest.mark.parametrize("error", ["", "RuntimeError", "memory", "interrupt"])
def test_the_model_is_as_before_and_the_next_image_the_same(webui, checkpoint, error):
    webui.load(checkpoint)
    plain = webui.make()
    before = kept(webui)
    for where in WITHIN if error else [""]:
        webui.probe("break", what=where, error=error)
        webui.make({"preset": "paper"})
        comments = webui.comments()
        assert bool(comments) == (error in ("RuntimeError", "memory")), comments
        assert kept(webui) == before
        webui.probe("break", what="")
        assert webui.make() == plain
    if HOST in ("forge", "neo"):
        assert before["inference"], "the weights were ordinary tensors anyway"


def test_moved_latents_leave_nothing_after_a_failed_call(webui):
    plain = webui.make()
    before = kept(webui)
    webui.probe("stop", at=2, how="interrupted")
    webui.make({"preset": "reference"})
    webui.make({"preset": "reference"})
    assert kept(webui) == before
    assert webui.make() == plain


def test_a_model_without_a_unet_gets_a_plain_image_and_a_comment(webui):
    plain = webui.make()
    webui.probe("break", what="tome_ext.hosts.webui.backends.forge.unet_of", error="nothing")
    assert webui.make({}) == plain
    (comment,) = webui.comments()
    assert "no UNet with cross-attention" in comment
    webui.probe("break", what="")
    assert webui.make({}) != plain
