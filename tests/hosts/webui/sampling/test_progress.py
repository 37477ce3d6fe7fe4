from __future__ import annotations

import itertools

import pytest

from tests.hosts.webui.sampling import standins
from tests.hosts.webui.sampling.job import Options, Processing, gentle
from tests.hosts.webui.sampling.test_job import PROMPT, build, forget
from tome_ext.hosts.webui.sampling import progress


@pytest.fixture
def host(monkeypatch):
    yield build(monkeypatch, sdxl=False)
    forget()


def watched(host, options, prompts=(PROMPT,)):
    """What was told, and the line beside the bar, at each pass through the UNet."""
    told = []

    def look(*_):
        state = standins.state()
        told.append((getattr(state, progress.DONE, (0, 0, None))[2], getattr(state, "textinfo", None)))

    handle = host.model.model.diffusion_model.register_forward_pre_hook(look)
    try:
        run = host.run(Processing(list(prompts)), options)
    finally:
        handle.remove()
    return run, told


@pytest.mark.parametrize("preset", ["balanced", "paper", "reference"])
def test_it_grows_within_a_refined_step_and_never_falls(host, preset):
    _, told = watched(host, Options(gentle(preset, window_stop=0.5)), [PROMPT, "a green bird and a yellow fish"])
    done = [at for at, _ in told]
    assert done == sorted(done)
    assert len({at for at in done if at < 1}) > 3
    assert all(at <= step + 1 for step, steps in itertools.groupby(done, key=int) for at in steps)


def test_the_line_says_which_step_is_refined_and_only_then(host):
    run, told = watched(host, Options(gentle(window_stop=0.3)))
    said = [text for _, text in told]
    assert "ToMe: refining step 2 of 10" in said
    assert said[-1] is None
    assert standins.state().textinfo is None
    assert run.latent.isfinite().all()


def test_nothing_is_left_after_the_job(host):
    watched(host, Options(gentle(window_stop=1.0)))
    assert not hasattr(standins.state(), progress.DONE)


def test_without_tome_nothing_is_told(host):
    _, told = watched(host, None)
    assert {at for at, _ in told} == {None}
