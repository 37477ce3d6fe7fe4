from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tome_ext.research.arms import FAST, PLAIN, Arm, settings_for
from tome_ext.research.benchmark import Job, Sampling, jobs, judge_scene, picture_path, read_results, run
from tome_ext.research.files import lock
from tome_ext.research.makers import request_of
from tome_ext.research.report import grid, plot, table, tally, write_report
from tome_ext.research.world.drawing import render
from tome_ext.research.world.prompts import Prompt, prompt_of
from tome_ext.research.world.scenes import Place, Scene, Thing
from tome_ext.settings import preset

SAMPLING = Sampling(steps=2, batch=2)
THINGS = (Thing("circle", "red"), Thing("square", "blue"))
PROMPTS = [prompt_of(THINGS, "pairs"), prompt_of(THINGS[::-1], "reversed")]
TODO = jobs((PLAIN, FAST), PROMPTS, 3)


class Painter:
    """Draws the prompt right with ToMe, and exchanges the colours without; notes every image, can be killed."""

    def __init__(self, kill_after=None):
        self.made, self.kill_after = [], kill_after

    def __call__(self, arm, prompt, seeds, sampling):
        if self.kill_after is not None and len(self.made) >= self.kill_after:
            raise KeyboardInterrupt
        self.made += [(arm.name, prompt.text, seed) for seed in seeds]
        colours = [thing.colour for thing in prompt.things]
        colours = colours if arm.settings else colours[::-1]
        things = tuple(Thing(thing.shape, colour) for thing, colour in zip(prompt.things, colours, strict=True))
        places = (Place(55, 70, 32), Place(135, 120, 32))
        return [Image.fromarray(render(Scene(things, places, "grey"), np.random.default_rng(seed))) for seed in seeds]


def go(folder, painter, judge=judge_scene, **more):
    return run(painter, judge, TODO, folder, SAMPLING, made_by={"model": "painter"}, **more)


def test_every_image_is_made_once_and_judged(tmp_path):
    painter = Painter()
    known = go(tmp_path, painter)
    assert len(painter.made) == len(set(painter.made)) == len(TODO) == len(known) == 12
    assert {job.seed for job in TODO if job.arm is PLAIN} == {job.seed for job in TODO if job.arm is FAST}


@pytest.mark.parametrize("after", [0, 2, 5, 11])
def test_a_killed_run_goes_on_and_makes_no_image_twice(tmp_path, after):
    first = Painter(kill_after=after)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, first)
    second = Painter()
    known = go(tmp_path, second)
    assert sorted(first.made + second.made) == sorted(set(first.made + second.made))
    assert len(first.made) + len(second.made) == len(TODO)
    assert known == go(tmp_path, Painter(kill_after=0))


def test_an_image_without_a_judgement_is_judged_and_not_made(tmp_path):
    calls = []

    def dying(prompt, image):
        calls.append(prompt)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return judge_scene(prompt, image)

    first, second = Painter(), Painter()
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, first, dying)
    assert len(go(tmp_path, second)) == len(TODO)
    assert len(first.made) + len(second.made) == len(TODO)


def test_a_line_cut_off_by_a_kill_spoils_no_other(tmp_path):
    known = go(tmp_path, Painter())
    path = tmp_path / "results-0-of-1.jsonl"
    path.write_text(path.read_text()[:-30])
    assert len(read_results(tmp_path)) == len(TODO) - 1
    assert go(tmp_path, Painter(kill_after=0)) == known
    assert go(tmp_path, Painter(kill_after=0)) == known


def test_a_half_written_picture_is_made_again(tmp_path):
    go(tmp_path, Painter())
    path = picture_path(tmp_path, TODO[0].key(SAMPLING))
    path.rename(path.with_suffix(".partial"))
    (tmp_path / "results-0-of-1.jsonl").unlink()
    painter = Painter()
    go(tmp_path, painter)
    assert painter.made == [(TODO[0].arm.name, TODO[0].prompt.text, TODO[0].seed)]


def test_shards_share_the_work_and_read_each_others_results(tmp_path):
    painters = [Painter() for _ in range(3)]
    for number, painter in enumerate(painters):
        known = go(tmp_path, painter, shard=(number, 3))
    assert all(painter.made for painter in painters)
    assert sum(len(painter.made) for painter in painters) == len(TODO) == len(known)


def test_a_shard_knows_what_others_made_while_it_was_at_work(tmp_path):
    inner = Painter()

    def outer(arm, prompt, seeds, sampling):
        if not inner.made:
            go(tmp_path, inner, shard=(1, 2))
        return Painter()(arm, prompt, seeds, sampling)

    assert len(go(tmp_path, outer, shard=(0, 2))) == len(TODO) > len(inner.made) > 0


def test_a_second_process_on_the_same_work_says_so_and_makes_nothing(tmp_path):
    second = Painter()

    def outer(arm, prompt, seeds, sampling):
        with pytest.raises(ValueError, match="another process is at work in"):
            go(tmp_path, second)
        return Painter()(arm, prompt, seeds, sampling)

    assert len(go(tmp_path, outer)) == len(TODO)
    assert second.made == []
    assert len(go(tmp_path, Painter(kill_after=0))) == len(TODO)  # the lock went with the first


def test_a_folder_shared_in_other_parts_is_refused(tmp_path):
    with lock(tmp_path / ".lock-1-of-2"), pytest.raises(ValueError, match="another process is at work in"):
        go(tmp_path, Painter())
    assert len(go(tmp_path, Painter())) == len(TODO)


def test_a_lock_goes_with_its_process_however_that_ends(tmp_path):
    code = f"""
from pathlib import Path
from tome_ext.research.files import lock
with lock(Path({str(tmp_path / "own")!r})):
    print("held", flush=True)
    input()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline().strip() == b"held"
    with pytest.raises(ValueError, match="another process"), lock(tmp_path / "own"):
        pass
    process.kill()
    process.communicate()
    with lock(tmp_path / "own"):
        pass


def test_a_damaged_picture_is_named(tmp_path):
    go(tmp_path, Painter())
    path = picture_path(tmp_path, TODO[0].key(SAMPLING))
    path.write_bytes(path.read_bytes()[:1000])
    (tmp_path / "results-0-of-1.jsonl").unlink()
    with pytest.raises(ValueError, match=rf"the picture {re.escape(str(path))} is damaged .*: delete it"):
        go(tmp_path, Painter())
    with pytest.raises(ValueError, match=re.escape(str(path))):
        grid(tmp_path, TODO, SAMPLING, most=99)
    path.unlink()
    painter = Painter()
    assert len(go(tmp_path, painter)) == len(TODO)
    assert len(painter.made) == 1


@pytest.mark.parametrize("note", ["", "[]", '["model"]', "null", "{", "[" * 100_000, '"x"'])
def test_a_damaged_note_is_named(tmp_path, note):
    (tmp_path / "made_by.json").write_text(note)
    with pytest.raises(ValueError, match=r"made_by\.json is damaged .*: delete it"):
        go(tmp_path, Painter())


def test_a_picture_that_could_not_be_judged_is_judged_in_the_next_run(tmp_path):
    assert go(tmp_path, Painter(), lambda prompt, image: None) == {}
    assert len(go(tmp_path, Painter(kill_after=0))) == len(TODO)


def test_two_models_are_never_mixed(tmp_path):
    go(tmp_path, Painter())
    with pytest.raises(ValueError, match="painter"):
        run(Painter(), judge_scene, TODO, tmp_path, SAMPLING, made_by={"model": "another"})


def test_keys_change_with_everything_that_changes_the_image():
    job = TODO[0]
    others = [
        Job(FAST, job.prompt, job.seed),
        Job(Arm("plain", preset("balanced")), job.prompt, job.seed),
        Job(job.arm, PROMPTS[1], job.seed),
        Job(job.arm, job.prompt, job.seed + 1),
    ]
    keys = {one.key(SAMPLING) for one in [job, *others]} | {job.key(Sampling(steps=3)), job.key(Sampling(guidance=1))}
    assert len(keys) == 7
    assert job.key(SAMPLING) == job.key(Sampling(steps=2, batch=99))


def test_figures_say_what_the_pictures_show(tmp_path):
    rows = tally(TODO, go(tmp_path, Painter()), SAMPLING)
    plain, tome = (next(row for row in rows if (row.family, row.arm) == ("all", arm.name)) for arm in (PLAIN, FAST))
    assert {name: figure.value for name, figure in plain.figures.items()} == {
        "right": 0,
        "presence": 1,
        "binding": 0,
        "leakage": 1,
        "swaps": 1,
    }
    assert [tome.figures[name].value for name in ("right", "presence", "binding", "leakage")] == [1, 1, 1, 0]
    assert [tome.gains[name].difference() for name in ("right", "presence", "leakage")] == [
        "+100 (+100 … +100)",
        "+0 (+0 … +0)",
        "-100 (-100 … -100)",
    ]
    assert plain.gains == {}
    assert "| all | merging and ETS | 6 | 100 % (61–100) |" in table(rows)
    assert "Differences to plain" in table(rows)


def test_the_report_has_all_its_parts(tmp_path):
    known = go(tmp_path, Painter())
    write_report(tmp_path, "Title", TODO, known, SAMPLING, model="painter")
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["images"] == "12 of 12"
    assert data["model"] == "painter"
    assert len(data["rows"]) == 6
    assert "# Title" in (tmp_path / "report.md").read_text(encoding="utf-8")
    sheet = grid(tmp_path, TODO, SAMPLING, most=2)
    assert sheet.size[0] > 2 * 192


def test_the_plot_shows_every_family(tmp_path):
    pytest.importorskip("matplotlib")
    rows = tally(TODO, go(tmp_path, Painter()), SAMPLING)
    assert plot(tmp_path / "plot.png", "Title", rows)
    assert Image.open(tmp_path / "plot.png").size[0] > 300
    assert not plot(tmp_path / "none.png", "Title", [])


def test_the_method_is_told_what_belongs_together():
    settings = settings_for(FAST, PROMPTS[0])
    assert settings.groups == "circle: red; square: blue"
    assert settings.clean_prompt == "a circle and a square"
    unread = Prompt("a red circle", "x")
    assert settings_for(FAST, unread) == FAST.settings


def test_a_webui_is_asked_for_the_same_image():
    request = request_of(FAST, PROMPTS[0], 7, Sampling(steps=9, size=512))
    args = request["alwayson_scripts"]["ToMe Semantic Binding"]["args"]
    own = {"groups": "circle: red; square: blue", "clean_prompt": "a circle and a square"}
    assert args == [True, {"preset": "fast", **own, "related_weight": 1.0, "ets": "on"}]
    assert (request["seed"], request["steps"], request["width"], request["prompt"]) == (7, 9, 512, PROMPTS[0].text)
    assert request_of(PLAIN, PROMPTS[0], 7, Sampling(size=512))["alwayson_scripts"]["ToMe Semantic Binding"][
        "args"
    ] == [False]
    with pytest.raises(ValueError, match="pipeline"):
        request_of(Arm("x", context=lambda pipe, prompt: None), PROMPTS[0], 7, SAMPLING)
