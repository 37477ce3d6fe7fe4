"""What a job says, against the templates that translators have (javascript/tome_translation.js fills them)."""

from __future__ import annotations

import re

import pytest
import torch

from tests.hosts.webui.sampling.job import Options, Processing, gentle
from tests.hosts.webui.sampling.test_job import PROMPT, build, forget, raising
from tome_ext.hosts.webui.ui.labels import SPOKEN


@pytest.fixture
def host(monkeypatch):
    yield build(monkeypatch, sdxl=False)
    forget()


def pattern(template):
    places = {"{n}": r"\d+(?:\.\d+)?", "{}": ".*"}
    return "".join(places.get(part, re.escape(part)) for part in re.split(r"(\{n?\})", template))


def unsaid(run):
    """The lines under the image that no template has."""
    lines = [*run.comments, *run.processed.comments.splitlines()]
    assert lines
    return [line for line in lines if not any(re.fullmatch(pattern(one), line) for one in SPOKEN)]


@pytest.mark.parametrize(
    ("prompt", "settings"),
    [
        (PROMPT, gentle(window_stop=0.3)),
        (PROMPT, gentle("fast", groups='cat*1.5: blue + 1.2*"hat (x)"')),
        ("something", gentle("fast")),
        (PROMPT, gentle("fast", groups="cat: :")),
    ],
    ids=["refined", "merged", "nothing", "wrong groups"],
)
def test_lines_under_an_image(host, prompt, settings):
    assert unsaid(host.run(Processing([prompt]), Options(settings))) == []


@pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError(), ValueError("broken")], ids=["memory", "other"])
@pytest.mark.parametrize("broken", ["refine", "SamplingPass.apply"])
def test_failures(host, monkeypatch, error, broken):
    from tome_ext.hosts.webui.sampling import sampling_pass

    owner, _, name = broken.rpartition(".")
    monkeypatch.setattr(getattr(sampling_pass, owner) if owner else sampling_pass, name, raising(error))
    assert unsaid(host.run(Processing([PROMPT]), Options(gentle(window_stop=0.3)))) == []


def test_a_model_without_cross_attention(host):
    inner = torch.nn.Module()
    inner.forward = host.model.model.diffusion_model.forward
    host.model.model.diffusion_model = inner
    assert unsaid(host.run(Processing([PROMPT]), Options(gentle()))) == []
