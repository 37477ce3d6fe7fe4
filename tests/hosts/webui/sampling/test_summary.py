from __future__ import annotations

import pytest

from tests.hosts.webui.sampling.job import Options, Processing, gentle
from tests.hosts.webui.sampling.test_job import PROMPT, build, forget
from tome_ext.hosts.webui.sampling.asked import Batch
from tome_ext.hosts.webui.sampling.summary import BOUND, Summary


@pytest.fixture
def host(monkeypatch):
    yield build(monkeypatch, sdxl=False)
    forget()


def line(run):
    found = [line for line in run.processed.comments.splitlines() if line.startswith(BOUND)]
    assert len(found) <= 1
    return found[0] if found else ""


def test_it_says_what_was_bound_by_which_parser_and_what_was_done(host):
    said = line(host.run(Processing([PROMPT]), Options(gentle(window_stop=0.3, parser="builtin"))))
    assert said.startswith("ToMe bound cat: red; dog: blue (built-in parser; 3 of 10 steps refined; took ")


def test_merging_alone_is_called_so(host):
    assert "merged, not refined" in line(host.run(Processing([PROMPT]), Options(gentle("fast"))))


def test_groups_by_hand_are_shown_as_they_were_taken(host):
    said = line(host.run(Processing([PROMPT]), Options(gentle("fast", groups='cat*1.5: blue + 1.2*"hat"; dog: -'))))
    assert "cat*1.5: blue, +1.2*hat (" in said
    assert "dog" not in said


def test_each_prompt_is_shown_once_and_only_some_of_many(host):
    prompts = ["a red cat and a blue dog", "a red cat and a blue dog", "a red bird and a blue fish"]
    said = line(host.run(Processing(prompts), Options(gentle("fast"))))
    assert "cat: red; dog: blue | bird: red; fish: blue (" in said
    many = [f"a red cat and a {colour} dog" for colour in ("blue", "green", "pink", "white", "black")]
    assert "| 2 more (" in line(host.run(Processing(many), Options(gentle("fast"))))


def test_both_batches_and_the_second_pass_are_counted(host):
    p = Processing([PROMPT])
    options = Options(gentle(window_stop=0.3), hires="refine")
    first = host.run(p, options, last=False)
    p.is_hr_pass = True
    second = host.run(p, job=first.job, last=True)
    assert "6 of 20 steps refined" in line(second)


@pytest.mark.parametrize("prompt", ["something", ""])
def test_where_nothing_is_bound_there_is_no_such_line(host, prompt):
    assert line(host.run(Processing([prompt]), Options(gentle("fast")))) == ""


def test_without_tome_for_all_images_there_is_no_such_line(host):
    batch = Batch([None], [None])
    assert line(host.run(Processing([PROMPT]), Options(gentle("fast")), batch=batch)) == ""


def test_only_the_extra_work_is_timed():
    times = iter([1.0, 3.0, 10.0, 10.5])
    summary = Summary(clock=lambda: next(times))
    for _ in range(2):
        with summary.timed():
            pass
    assert summary.seconds == 2.5
