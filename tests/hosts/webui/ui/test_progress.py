from __future__ import annotations

import types

import pytest

from tome_ext.hosts.webui import progress
from tome_ext.hosts.webui.sampling.progress import DONE


def state(done=None, **more):
    """The host's, ten seconds after the start of its job, with 20 steps in one of two parts."""
    values = {"time_start": 100.0, "job_no": 0, "job_count": 2, "sampling_step": 0, "sampling_steps": 20, **more}
    made = types.SimpleNamespace(**values)
    if done is not None:
        setattr(made, DONE, done)
    return made


def answer(at=0.0, eta=0.0):
    return types.SimpleNamespace(progress=at, eta=eta)


def refined(state, at=0.0, eta=0.0):
    given = answer(at, eta)
    progress.refine(given, state, 110.0)
    return given


def test_the_part_of_a_step_counts_and_the_eta_follows():
    given = refined(state((100.0, 0, 0.5)))
    assert given.progress == pytest.approx(0.5 / 20 / 2)
    assert given.eta == pytest.approx(10 / given.progress - 10)


def test_the_api_s_answer_is_told_apart_by_its_field():
    given = types.SimpleNamespace(progress=0.01, eta_relative=0.0)
    progress.refine(given, state((100.0, 0, 1.0)), 110.0)
    assert given.eta_relative == pytest.approx(10 / 0.035 - 10)


@pytest.mark.parametrize(
    "other",
    [
        state(),
        state((99.0, 0, 0.5)),
        state((100.0, 1, 0.5)),
        state((100.0, 0, 0.5), sampling_step=1),
        state((100.0, 0, 7.0)),
        state((100.0, 0, 0.5), sampling_steps=0),
        state((100.0, 0, 0.5), job_count=0),
    ],
    ids=["nothing", "another job", "another part", "the host is further", "another run", "no steps", "no job"],
)
def test_what_is_not_of_this_step_changes_nothing(other):
    given = refined(other, 0.25, 30.0)
    assert (given.progress, given.eta) == (0.25, 30.0)


def test_an_answer_without_progress_stays_as_it_is():
    given = refined(state((100.0, 0, 0.5)), None, None)
    assert (given.progress, given.eta) == (None, None)


def test_both_routes_tell_it_and_a_failure_costs_no_answer(host, monkeypatch):
    shared = host.fakes["modules.shared"]
    route = types.SimpleNamespace(path="/internal/progress", dependant=types.SimpleNamespace(call=lambda: answer(0.25)))
    other = types.SimpleNamespace(path="/other", dependant=types.SimpleNamespace(call=None))
    from tome_ext.hosts.webui import progress as loaded

    loaded.add(types.SimpleNamespace(routes=[route, other, types.SimpleNamespace(path="/sdapi/v1/progress")]))
    monkeypatch.setattr(loaded.time, "time", lambda: 110.0)
    shared.state = state((100.0, 0, 1.0))
    assert route.dependant.call().progress == pytest.approx(0.25 + 1 / 40)
    shared.state = None
    assert route.dependant.call().progress == 0.25
    assert other.dependant.call is None
