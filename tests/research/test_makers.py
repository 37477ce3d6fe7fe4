from __future__ import annotations

import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import diffusers
import pytest
import torch
from PIL import Image

from tome_ext.embedded.random_model import random_pipeline
from tome_ext.research.arms import BALANCED, FAST, PLAIN, Arm
from tome_ext.research.benchmark import Sampling
from tome_ext.research.makers import MethodError, request_of, sample, webui_maker
from tome_ext.research.world.prompts import Prompt
from tome_ext.settings import preset

TWO = Prompt("a red book and a yellow vase", "x", (), "a book and a vase", "book: red; vase: yellow")
NONE = Prompt("a cat and a dog", "x")
TINY = Sampling(steps=2, size=64)


@pytest.fixture(scope="module")
def pipe():
    return random_pipeline()


@pytest.mark.parametrize("name", ["fast", "balanced", "paper", "reference"])
def test_images_that_were_made_with_all_of_the_method_come_out(pipe, name):
    assert len(sample(pipe, Arm(name, preset(name)), TWO, [1, 2], TINY)) == 2


@pytest.mark.parametrize("arm", [PLAIN, FAST, BALANCED], ids=lambda arm: arm.name)
def test_a_prompt_with_nothing_to_bind_comes_out(pipe, arm):
    assert len(sample(pipe, arm, NONE, [1], TINY)) == 1


def test_an_image_that_needs_no_update_comes_out(pipe):
    content = Arm("content", BALANCED.settings.replace(entropy_target=1.0, binding_weight=0.0))
    assert len(sample(pipe, content, TWO, [1], TINY)) == 1


def test_an_image_whose_refinement_failed_is_no_image_of_its_arm(pipe, monkeypatch):
    def fail(*_):
        raise torch.cuda.OutOfMemoryError("no memory")

    monkeypatch.setattr("tome_ext.hosts.diffusers.attachment.refine", fail)
    with pytest.raises(MethodError, match=r"'balanced'.*refinement failed.*OutOfMemoryError: no memory"):
        sample(pipe, BALANCED, TWO, [1], TINY)
    assert sample(pipe, FAST, TWO, [1], TINY)
    assert sample(pipe, BALANCED, NONE, [1], TINY)


def test_an_image_whose_merging_failed_is_no_image_of_its_arm(pipe, monkeypatch):
    def fail(*_):
        raise ValueError("broken")

    monkeypatch.setattr("tome_ext.hosts.diffusers.attachment.compose", fail)
    with pytest.raises(MethodError, match=r"'merging and ETS'.*ValueError: broken"):
        sample(pipe, FAST, TWO, [1], TINY)


def test_a_sampler_that_refinement_cannot_follow(pipe, monkeypatch):
    monkeypatch.setattr(pipe, "scheduler", diffusers.EDMEulerScheduler(sigma_max=14.0))
    with pytest.raises(MethodError, match="no refinement: EDMEulerScheduler"):
        sample(pipe, BALANCED, TWO, [1], TINY)
    assert sample(pipe, FAST, TWO, [1], TINY)


def test_a_run_without_a_step_in_the_window(pipe):
    late = Arm("late", BALANCED.settings.replace(window_start=0.1, window_stop=0.3))
    with pytest.raises(MethodError, match=r"'late'.*no step was refined"):
        sample(pipe, late, TWO, [1], TINY)


def test_groups_that_were_told_and_are_not_in_the_prompt(pipe):
    wrong = Prompt("a cat and a dog", "x", (), "", "horse: blue")
    with pytest.raises(MethodError, match="horse"):
        sample(pipe, FAST, wrong, [1], TINY)


class WebUI(HTTPServer):
    """Answers every request with one picture and these entries of the infotext."""

    def __init__(self, entries):
        super().__init__(("127.0.0.1", 0), Handler)
        self.entries = entries


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        pixels = io.BytesIO()
        Image.new("RGB", (8, 8), "red").save(pixels, format="PNG")
        info = json.dumps({"prompt": "ToMe failure", "extra_generation_params": self.server.entries})
        reply = json.dumps({"images": [base64.b64encode(pixels.getvalue()).decode()], "info": info}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *args):
        pass


@pytest.fixture
def webui():
    servers = []

    def start(**entries):
        servers.append(WebUI({name.replace("_", " "): text for name, text in entries.items()}))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return webui_maker(f"http://127.0.0.1:{servers[-1].server_port}/")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_webuis_images_come_out(webui):
    assert webui(ToMe="balanced")(BALANCED, TWO, [1, 2], TINY)[1].size == (8, 8)
    assert len(webui()(PLAIN, TWO, [1], TINY)) == 1


@pytest.mark.parametrize("reason", ["tokens are merged but not refined: --lowvram", "the rest is made without it"])
def test_a_webuis_image_without_a_part_of_the_method_is_no_image_of_its_arm(webui, reason):
    with pytest.raises(MethodError, match=f"'balanced'.*{reason}"):
        webui(ToMe="balanced", ToMe_failure=reason)(BALANCED, TWO, [1], TINY)


def test_a_webui_that_does_not_use_the_extension(webui):
    with pytest.raises(MethodError, match="did not use the extension"):
        webui()(FAST, TWO, [1], TINY)


def test_a_webui_has_to_be_told_the_size():
    with pytest.raises(ValueError, match="size"):
        request_of(PLAIN, TWO, 1, Sampling(steps=2))
