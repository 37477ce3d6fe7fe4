"""Tags in the prompts of a real WebUI: WEBUI_DIR (see tests/hosts/running.py)."""

from __future__ import annotations

import json

import pytest

from tests.hosts.webui.ui.running import pixels, request

pytestmark = pytest.mark.webui

PROMPT = "a red cat and a blue dog"


def image(webui, args=None, **more):
    encoded, text = webui.image(args, **more)
    return pixels(encoded), text


def images(webui, args=None, **more):
    """The images of a request and their infotexts, without a grid before them."""
    status, answer = webui.status("/sdapi/v1/txt2img", request(args, **more))
    assert status == 200, answer
    info = json.loads(answer["info"])
    first = info["index_of_first_image"]
    return [pixels(one) for one in answer["images"][first:]], info["infotexts"][first:]


@pytest.fixture(scope="module")
def plain(webui):
    return image(webui)[0]


@pytest.mark.parametrize(
    ("tag", "args"),
    [
        ("<tome>", [True]),
        ("<tome:fast>", [True, "fast"]),
        ("<tome:paper; window_stop=0.4>", [True, {"preset": "paper", "window_stop": 0.4}]),
        ("<tome:strength=1.5>", [True, {"strength": 1.5}]),
        ("<tome:fast; cat: blue; dog: red>", [True, {"preset": "fast", "groups": "cat: blue; dog: red"}]),
    ],
)
def test_a_tag_gives_the_image_that_the_arguments_give(webui, plain, tag, args):
    by_tag, text = image(webui, prompt=f"{PROMPT} {tag}")
    by_api, _ = image(webui, args)
    assert by_tag == by_api != plain
    assert "ToMe failure" not in text


def test_a_tag_that_switches_off_counts_over_the_request(webui, plain):
    assert image(webui, [True], prompt=f"{PROMPT} <tome:off>")[0] == plain
    assert image(webui, [True, {"strength": 0}])[0] == plain


def test_the_prompts_of_a_batch_have_tags_of_their_own(webui, plain):
    text = "\n".join([PROMPT, f"{PROMPT} <tome:fast>", f"{PROMPT} <tome:off>", f"{PROMPT} <tome:cat: blue; dog: red>"])
    script = next(one for one in webui.script_info("prompts from file or textbox") if not one["is_img2img"])
    values = {"list of prompt inputs": text, "iterate seed every line": False}
    args = [values.get(arg["label"].lower(), arg["value"]) for arg in script["args"]]
    made, texts = images(webui, prompt="", script_name="prompts from file or textbox", script_args=args)
    by_hand = image(webui, [True, {"groups": "cat: blue; dog: red"}])[0]
    assert made == [plain, image(webui, [True, "fast"])[0], plain, by_hand]
    assert ["ToMe version" in one for one in texts] == [False, True, False, True]


def test_prompt_matrix_takes_a_tag_in_one_of_its_parts(webui, plain):
    script = next(one for one in webui.script_info("prompt matrix") if not one["is_img2img"])
    made, texts = images(
        webui,
        prompt=f"{PROMPT}|<tome:fast>",
        script_name="prompt matrix",
        script_args=[arg["value"] for arg in script["args"]],
    )
    assert made[0] == plain
    assert made[1] != plain
    assert "ToMe version" not in texts[0]
    assert "<tome:fast>" in texts[1]


def test_prompt_s_r_replaces_what_a_tag_says(webui, plain):
    plot = webui.script_info("x/y/z plot")[0]
    axis = plot["args"][0]["choices"].index("Prompt S/R")
    given = [axis, "<tome:fast>,<tome:off>,<tome:strength=1.5>", [], 0, "", [], 0, "", []]
    asked = {"Include Sub Images": True, "Use text inputs instead of dropdowns": True}
    args = [*given, *(asked.get(arg["label"], arg["value"]) for arg in plot["args"][len(given) :])]
    made, _ = images(webui, prompt=f"{PROMPT} <tome:fast>", script_name="x/y/z plot", script_args=args)
    assert made[-3:] == [image(webui, [True, "fast"])[0], plain, image(webui, [True, {"strength": 1.5}])[0]]


def test_a_tag_in_a_style_counts(webui):
    assert image(webui, styles=["quick"])[0] == image(webui, [True, "fast"])[0]


def test_its_infotext_repeats_an_image_with_a_tag(webui):
    made, text = image(webui, prompt=f"{PROMPT} <tome:fast; cat: blue; dog: red>", seed=3)
    assert "<tome:fast; cat: blue; dog: red>" in text
    status, answer = webui.status("/sdapi/v1/txt2img", {"infotext": text})
    if status == 500 and "parameterized generic" in answer:
        pytest.skip("this host's API cannot read any infotext")
    assert (pixels(answer["images"][0]), json.loads(answer["info"])["infotexts"][0]) == (made, text)


@pytest.mark.parametrize("wrong", ["<tome:nonsense>", "<tome:cat::>", "<tome:strength=9>", "<tome:show_maps=true>"])
def test_a_wrong_tag_costs_no_image(webui, plain, wrong):
    made, text = image(webui, prompt=f"{PROMPT} {wrong}")
    assert made == plain
    assert "ToMe failure" in text


def test_a_grid_over_the_strength_goes_from_the_plain_image_to_the_preset_and_on(webui, plain):
    plot = webui.script_info("x/y/z plot")[0]
    axis = plot["args"][0]["choices"].index("[ToMe] Strength")
    given = [axis, "0,1,1.5", [], 0, "", [], 0, "", []]
    asked = {"Include Sub Images": True, "Use text inputs instead of dropdowns": True}
    args = [*given, *(asked.get(arg["label"], arg["value"]) for arg in plot["args"][len(given) :])]
    made, texts = images(webui, [True], script_name="x/y/z plot", script_args=args)
    assert made[-3:] == [plain, image(webui, [True])[0], image(webui, [True, {"strength": 1.5}])[0]]
    assert ["strength=1.5" in text for text in texts[-3:]] == [False, False, True]
