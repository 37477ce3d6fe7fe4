"""ETS by kind: which arm's image stands for it."""

from tome_ext.research.arms import FAST, MERGE
from tome_ext.research.benchmark import Job, Sampling
from tome_ext.research.miniature import harmless
from tome_ext.research.world.prompts import families

SAMPLING = Sampling()
PROMPTS = [prompt for prompt in families(1, 5) if prompt.family in harmless.FAMILIES]


def scores(bound):
    return {"asked": 2, "present": 2, "bound": bound, "leaked": 0, "swapped": 0, "extra": 0}


def test_things_worn_have_ets_and_colours_have_not():
    known = {job.key(SAMPLING): scores(2) for job in harmless.jobs(FAST, PROMPTS, 1)}
    known |= {job.key(SAMPLING): scores(0) for job in harmless.jobs(MERGE, PROMPTS, 1)}
    found = harmless.by_kind(PROMPTS, 1, known, SAMPLING)
    for job in harmless.jobs(harmless.AUTO, PROMPTS, 1):
        assert (found[job.key(SAMPLING)]["bound"] == 2) is ("wearing" in job.prompt.family)


def test_what_is_not_made_yet_is_left_out():
    job = harmless.jobs(MERGE, PROMPTS, 1)[0]
    known = {Job(MERGE, job.prompt, job.seed).key(SAMPLING): scores(1)}
    assert len(harmless.by_kind(PROMPTS, 1, known, SAMPLING)) == ("wearing" not in job.prompt.family)
