"""``evidence real``: everyday prompts, a forecast, figures and a page."""

from __future__ import annotations

import re
from itertools import count

import pytest
from PIL import Image

from tome_ext.prompts import read_prompt
from tome_ext.research import real
from tome_ext.research.benchmark import Job, Sampling, jobs, picture_path
from tome_ext.research.gallery import write_gallery
from tome_ext.research.world.everyday import everyday
from tome_ext.research.world.prompts import Prompt

SAMPLING = Sampling(steps=10, batch=2)


def test_there_are_110_different_prompts_of_four_families_in_turns():
    prompts = everyday()
    assert len({prompt.text for prompt in prompts}) == 110
    assert [sum(prompt.family == family for prompt in prompts) for family in _families(prompts)] == [50, 20, 20, 20]
    assert len({prompt.family for prompt in prompts[:4]}) == 4


def _families(prompts):
    return list(dict.fromkeys(prompt.family for prompt in prompts))


@pytest.mark.parametrize("prompt", everyday(), ids=lambda prompt: prompt.text)
def test_each_prompt_is_read_as_two_objects_with_their_words(prompt):
    reading = read_prompt(prompt.text, parser="builtin")
    nouns = [group.noun.text.split()[-1] for group in reading.groups]
    halves = prompt.text.split(" and a")
    assert len(nouns) == 2
    assert all(noun in half for noun, half in zip(nouns, halves, strict=True))
    assert all(group.related for group in reading.groups)


def test_arms_are_plain_sampling_and_presets():
    assert [arm.name for arm in real.arms_named([])] == ["plain", "fast", "balanced"]
    assert [arm.name for arm in real.arms_named(["paper"])] == ["plain", "paper"]
    with pytest.raises(ValueError, match="there is no arm 'best'; there are plain, fast"):
        real.arms_named(["best"])


def test_the_forecast_is_the_steps_the_images_and_their_cost():
    now = [0.0]

    def maker(arm, prompt, seeds, sampling):
        now[0] += 3.0 + 0.5 * sampling.steps

    todo = jobs(real.arms_named(["plain"]), everyday()[:2], 2)
    seconds = real.forecast(maker, todo, SAMPLING, lambda: now[0])
    assert seconds == pytest.approx(4 * (3.1 + 0.5 * 10))
    dearer = real.forecast(maker, jobs(real.arms_named(["paper"]), everyday()[:2], 2), SAMPLING, lambda: now[0])
    assert 2 < dearer / seconds < 6


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "under a minute"), (90, "2 min"), (3599, "1 h 00 min"), (7500, "2 h 05 min")]
)
def test_a_duration_reads_as_people_say_it(seconds, told):
    assert real.duration(seconds) == told


def test_figures_are_means_and_paired_differences_by_family():
    todo = jobs(real.arms_named(["fast"]), everyday()[:2], 2)
    values = count()
    known = {job.key(SAMPLING): {"blip": 0.2 + 0.3 * (job.arm.name == "fast") + 0.0 * next(values)} for job in todo}
    lines = real.figures(todo, known, SAMPLING)
    assert "| all | plain | 4 | 0.200 |  |" in lines
    assert "| all | fast | 4 | 0.500 | +0.300 (+0.300 … +0.300) |" in lines
    assert real.figures(todo, {}, SAMPLING) == []


def test_the_page_shows_what_is_there_and_escapes_text(tmp_path):
    prompt = Prompt('a <b>red</b> "cat" & a dog', "colours")
    todo = [Job(arm, prompt, seed) for arm in real.arms_named(["fast"]) for seed in (0, 1)]
    for job in todo[:3]:
        path = picture_path(tmp_path, job.key(SAMPLING))
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)
    known = {todo[0].key(SAMPLING): {"blip": 0.25}}
    page = write_gallery(
        tmp_path, "T", {"model": "<m>"}, ["| a | b |", "|---|---|", "| 1 | <2> |"], todo, known, SAMPLING
    )
    text = page.read_text(encoding="utf-8")
    assert "<b>red" not in text
    assert "&lt;b&gt;red&lt;/b&gt; &quot;cat&quot; &amp; a dog" in text
    assert "&lt;m&gt;" in text
    assert "<td>&lt;2&gt;</td>" in text
    sources = re.findall(r'src="([^"]+)"', text)
    assert len(sources) == 3
    assert all((tmp_path / source).exists() for source in sources)
    assert "seed 0, 0.25" in text
    assert "http" not in text
