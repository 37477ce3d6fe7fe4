"""The API of a real WebUI: start it with WEBUI_DIR (see tests/hosts/running.py)."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys

import pytest
from PIL import Image

from tests.hosts.running import ROOT
from tests.hosts.webui.ui.running import request
from tome_ext.hosts.webui.ui.options import Options, arguments
from tome_ext.settings import preset

pytestmark = pytest.mark.webui

NASTY = 'cat: "red, shiny", tall; dog + 1.2*"512x512" - blue\ncat#2: -'


def parameters(webui, image):
    status, answer = webui.status("/sdapi/v1/png-info", {"image": image})
    assert status == 200
    return answer["parameters"]


def need_the_infotext_parameter(webui):
    """On a host with pydantic 2 every request with ``infotext`` may fail in the host itself, also one without ToMe."""
    status, answer = webui.status(
        "/sdapi/v1/txt2img", request(infotext="a cat\nSteps: 2, Sampler: Euler, CFG scale: 7")
    )
    if status == 500 and "isinstance() argument 2 cannot be a parameterized generic" in answer:
        pytest.skip("this host's API cannot read any infotext")


def axis(webui, label):
    """The X/Y/Z plot's number for an axis."""
    return webui.script_info("x/y/z plot")[0]["args"][0]["choices"].index(label)


def grid(webui, x, values, y="", y_values="", ours=(True,)):
    none = [0, "", []]
    second = [axis(webui, y), y_values, []] if y else none
    axes = [axis(webui, x), values, [], *second, *none]
    asked = {"Include Sub Images": True, "Use text inputs instead of dropdowns": True}
    rest = webui.script_info("x/y/z plot")[0]["args"][len(axes) :]
    args = [*axes, *(asked.get(arg["label"], arg["value"]) for arg in rest)]
    return webui.status("/sdapi/v1/txt2img", request([*ours], script_name="X/Y/Z plot", script_args=args))


def test_script_info_shows_every_argument_with_label_range_and_default_in_both_tabs(webui):
    both = webui.script_info()
    assert [script["is_img2img"] for script in both] == [False, True]
    for script in both:
        for shown, declared in zip(script["args"], arguments(), strict=True):
            assert shown["value"] == declared.default
            # A number box has no limits of its own: a value beyond them would block the page.
            boxed = declared.maximum is not None and declared.maximum > 100
            limits = (None, None) if boxed else (declared.minimum, declared.maximum)
            assert (shown["minimum"], shown["maximum"]) == limits
            assert shown["label"]


def test_without_our_arguments_and_off_the_image_and_its_infotext_are_the_same(webui):
    plain = webui.image()
    assert "ToMe" not in plain[1]
    assert webui.image([False]) == plain
    webui.image([True, "fast"])
    assert webui.image([False, "paper"]) == plain


@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
def test_a_preset_s_name_and_values_by_name_are_taken(webui, tab):
    more = {"init_images": [webui.image()[0]], "denoising_strength": 1.0} if tab == "img2img" else {}
    assert "ToMe: fast, " in webui.image([True, "fast"], tab, **more)[1]
    _, text = webui.image([True, {"preset": "fast", "noun_weight": 1.5}], tab, **more)
    assert "ToMe: fast, ToMe changes: noun_weight=1.5" in text
    args = [True, "paper", *Options().to_args()[2:]]  # as the WebUI itself fills it
    assert "ToMe: paper, ToMe parser" in webui.image(args, tab, **more)[1]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([True, {"iterations": 99}], "iterations = 99: must be a whole number from 0 to 20"),
        ([True, "nope"], "preset = 'nope': must be one of fast"),
        ([True, {"groups": "cat::"}], "groups = 'cat::': expected"),
        ([True, {"iteration": 1}], "did you mean 'iterations'"),
        ({"enabled": True}, "args must be a list"),
    ],
)
@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
def test_a_wrong_argument_is_answered_with_422_its_name_and_its_range(webui, tab, args, says):
    status, answer = webui.status(f"/sdapi/v1/{tab}", request(args, init_images=["x"]))
    assert status == 422
    assert says in json.loads(answer)["detail"]


@pytest.mark.parametrize("groups", ["cat: red; dog: blue", NASTY, "", "512x512: red"])
def test_the_image_s_own_infotext_repeats_it(webui, groups):
    need_the_infotext_parameter(webui)
    values = {"preset": "fast", "groups": groups, "noun_weight": 1.5, "hires": "off", "clean_prompt": '"a cat", a: b'}
    image, text = webui.image([True, values])
    again, same = webui.image(None, infotext=text)
    assert same == text
    assert again == image
    plain, _ = webui.image()
    if groups:
        assert image != plain


def test_the_host_reads_back_what_was_written(webui):
    from tome_ext.hosts.webui.ui.infotext import read

    settings = preset("reference").replace(iterations=2, groups=NASTY, clean_prompt='"a cat"', parser="builtin")
    image, _ = webui.image([True, *Options(True, settings).to_args()[1:]])
    assert read(parameters(webui, image)) == Options(True, settings)


def test_an_infotext_without_tome_switches_it_off(webui):
    need_the_infotext_parameter(webui)
    plain, text = webui.image()
    assert webui.image(None, infotext=text)[0] == plain


def test_groups_and_settings_are_answered(webui):
    status, answer = webui.status("/tome/v1/groups", {"prompts": ["a red cat AND a blue dog"], "parser": "builtin"})
    assert status == 200
    assert [text["clean"] for text in answer["prompts"][0]["texts"]] == ["a cat", "a dog"]
    status, answer = webui.status("/tome/v1/groups", {"prompts": "a cat"})
    assert (status, json.loads(answer)["detail"]) == (422, "prompts must be a list of texts")
    assert webui.status("/tome/v1/settings")[1]["arguments"][:2] == ["enabled", "preset"]


def test_a_grid_has_its_values_in_its_cells(webui):
    status, answer = grid(webui, "[ToMe] Noun weight", "1,2")
    assert status == 200
    texts = json.loads(answer["info"])["infotexts"]
    assert ["noun_weight=2" in text for text in texts[1:]] == [False, True]
    assert answer["images"][1] != answer["images"][2]


def test_the_grid_of_the_documentation_is_made(webui):
    text = (ROOT / "docs" / "API.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(info = .*?)```", text, re.DOTALL)
    names = {"get": webui.ask, "request": request([True])}
    exec(code, names)
    status, answer = webui.status("/sdapi/v1/txt2img", names["request"])
    assert status == 200, answer
    grid = Image.open(io.BytesIO(base64.b64decode(answer["images"][0])))
    assert grid.width == 3 * names["request"]["width"]
    assert grid.height > names["request"]["height"]  # the legend


def test_a_grid_s_groups_do_not_reach_into_the_next_cell(webui):
    _, answer = grid(webui, "[ToMe] Groups", '"cat: red",')
    assert ["ToMe groups" in text for text in json.loads(answer["info"])["infotexts"][1:]] == [True, False]


def test_a_grid_s_window_may_have_both_ends_plotted(webui):
    status, answer = grid(webui, "[ToMe] Refine from", "0.3", "[ToMe] Refine until", "0.5,0.8")
    assert status == 200
    for text, stop in zip(json.loads(answer["info"])["infotexts"][1:], (0.5, 0.8), strict=True):
        assert "window_start=0.3" in text
        assert f"window_stop={stop}" in text


@pytest.mark.parametrize(
    ("x", "values", "ours", "says"),
    [
        ("[ToMe] Iterations", "1,2", (False,), "is off, and every image would be the same"),
        ("[ToMe] Refine from", "0,0.9", (True, {"window_stop": 0.8}), "must not be greater than window_stop = 0.8"),
    ],
)
def test_a_grid_whose_cells_would_be_plain_does_not_begin(webui, x, values, ours, says):
    status, answer = grid(webui, x, values, ours=ours)
    assert status == 422
    assert says in json.loads(answer)["detail"]


def test_a_grid_s_window_is_compared_with_the_panel(webui):
    assert grid(webui, "[ToMe] Refine from", "0,0.3", ours=(True, {"window_stop": 0.8}))[0] == 200


@pytest.mark.parametrize(
    ("x", "values", "says"),
    [
        ("[ToMe] Iterations", "1,99", "iterations = 99: must be a whole number from 0 to 20"),
        ("[ToMe] Preset", "fast,quick", "preset = 'quick': must be one of fast"),
        ("[ToMe] Groups", "cat::", "groups = 'cat::': expected"),
        ("[ToMe] Strength", "0,1,3", "strength = 3.0: must be a number from 0 to 2"),
        ("[ToMe] Attention layers", "reference,foo", "layers = 'foo': no cross-attention layer of this model"),
    ],
)
def test_a_grid_with_a_wrong_value_is_answered_with_422_and_does_not_begin(webui, x, values, says):
    status, answer = grid(webui, x, values)
    assert status == 422
    assert says in json.loads(answer)["detail"]


def test_the_example_client_runs(webui, tmp_path):
    client = [sys.executable, str(ROOT / "docs" / "examples" / "api_client.py"), "a red cat and a blue dog"]
    options = ["--url", webui.url, "--size", "256", "--steps", "2", "--out", str(tmp_path / "a" / "b")]
    done = subprocess.run([*client, *options, "--preset", "fast"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cat: red" in done.stdout
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {"plain.png", "tome.png"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (["--set", "iterations=99"], "iterations = 99: must be a whole number"),
        (["--preset", "quick"], "preset = 'quick': must be one of"),
    ],
)
def test_the_example_client_tells_a_mistake_before_any_image(webui, tmp_path, wrong, says):
    client = [sys.executable, str(ROOT / "docs" / "examples" / "api_client.py"), "a red cat and a blue dog"]
    options = ["--url", webui.url, "--size", "256", "--steps", "2", "--out", str(tmp_path), *wrong]
    done = subprocess.run([*client, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert says in done.stderr
    assert not list(tmp_path.iterdir())


def test_nothing_of_ours_failed_on_the_console(webui):
    log = webui.log.read_text(errors="replace")
    assert not [line for line in log.splitlines() if line.startswith("[ToMe]")]
    assert "Error loading script: tome" not in log
