from __future__ import annotations

import base64
import json
import re
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from PIL import Image

from tome_ext.hosts.common.http import request_json
from tome_ext.research.judging.object_binding import RUBRIC, Judge, NoAnswerError, prompts, question, read_score


class Endpoint(HTTPServer):
    """An endpoint in OpenAI's form that answers what it is told to, and notes what it was asked.

    ``statuses`` come before the first 200; ``reply`` is sent in place of an answer.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.answer, self.reply, self.statuses = [], "Both are right.\nScore: 87.5", None, []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers.get("Authorization"), body))
        reply = json.dumps({"choices": [{"message": {"content": self.server.answer}}]}).encode()
        reply = reply if self.server.reply is None else self.server.reply
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *args):
        pass


@pytest.fixture
def endpoint():
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def judge(endpoint, tmp_path, **more):
    return Judge(f"http://127.0.0.1:{endpoint.server_port}/v1", "some-model", tmp_path / "answers", **more)


PAIR = prompts()[0]
PICTURE = Image.new("RGB", (8, 8), "red")


def test_fifty_different_prompts_follow_the_template():
    pairs = prompts()
    assert len({pair.prompt for pair in pairs}) == 50
    for pair in pairs:
        assert re.fullmatch(r"an? \w+ with an? \w+ and an? \w+ with an? \w+", pair.prompt)
        assert pair.first[0] != pair.second[0]
        assert pair.first[1] != pair.second[1]
    assert prompts() == pairs
    assert prompts(seed=1) != pairs


def test_the_rubric_has_nine_levels_of_an_eighth():
    assert sorted(RUBRIC) == [12.5 * level for level in range(9)]


def test_the_question_names_prompt_subjects_and_every_level():
    asked = question(PAIR)
    assert PAIR.prompt in asked
    for score, text in RUBRIC.items():
        assert f"{score:g}: {text}" in asked


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("Score: 87.5", 87.5),
        ("... fine.\n**Score:** 100", 100.0),
        ("score = 0", 0.0),
        ("Score: 50\nScore: 62.5", 62.5),
        ("The score is 87.5", 87.5),
        ("The final score is: **12.5**.", 12.5),
        ("Score (0-100): 50", 50.0),
        ("**Score**: 62.5/100", 62.5),
        ("Score: 25 / 100, as there are no items", 25.0),
        ("The score is 75 at first sight.\nScore: 50\nThe dog has no hat.", 50.0),
    ],
)
def test_scores_are_read_from_answers(answer, score):
    assert read_score(answer) == score


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Score: 90",
        "100",
        "no idea",
        "Score: 1000",
        "Score: -50",
        "Score: 50 to 62.5",
        "Score: 50-62.5",
        "Score: 5/10",
        "Score: 50/200",
        "Score: 75\nScore: 80",
    ],
)
def test_answers_without_a_level_have_no_score(answer):
    assert read_score(answer) is None


def test_the_endpoint_is_sent_the_picture_and_the_question(endpoint, tmp_path):
    assert judge(endpoint, tmp_path, key="secret").score(PICTURE, PAIR) == 87.5
    path, authorization, body = endpoint.asked[0]
    assert (path, authorization) == ("/v1/chat/completions", "Bearer secret")
    assert (body["model"], body["temperature"]) == ("some-model", 0)
    text, picture = body["messages"][0]["content"]
    assert text["text"] == question(PAIR)
    head, data = picture["image_url"]["url"].split(",", 1)
    assert head == "data:image/png;base64"
    assert base64.b64decode(data)[:4] == b"\x89PNG"


def test_answers_are_asked_for_once(endpoint, tmp_path):
    for _ in range(3):
        assert judge(endpoint, tmp_path).score(PICTURE, PAIR) == 87.5
    assert len(endpoint.asked) == 1
    judge(endpoint, tmp_path).score(Image.new("RGB", (8, 8), "blue"), PAIR)
    judge(endpoint, tmp_path).score(PICTURE, prompts()[1])
    assert len(endpoint.asked) == 3


def test_an_answer_without_a_score_is_kept_as_well(endpoint, tmp_path):
    endpoint.answer = "I cannot see pictures."
    for _ in range(2):
        assert judge(endpoint, tmp_path).score(PICTURE, PAIR) is None
    assert len(endpoint.asked) == 1


PARTS = [{"type": "text", "text": "Fine.\nScore: "}, {"type": "image"}, {"type": "text", "text": "50"}]


def test_an_answer_in_parts_is_read(endpoint, tmp_path):
    endpoint.answer = PARTS
    assert judge(endpoint, tmp_path).score(PICTURE, PAIR) == 50


@pytest.mark.parametrize("answer", [None, "", "  ", 7, [], [None, 1], {"text": "Score: 50"}, True])
def test_an_answer_without_text_is_not_kept_and_asked_for_again(endpoint, tmp_path, answer):
    endpoint.answer = answer
    for _ in range(2):
        with pytest.raises(NoAnswerError, match="no text"):
            judge(endpoint, tmp_path).score(PICTURE, PAIR)
    assert len(endpoint.asked) == 2
    endpoint.answer = "Score: 50"
    assert judge(endpoint, tmp_path).score(PICTURE, PAIR) == 50


@pytest.mark.parametrize(
    "reply", [b'{"error": {"message": "no"}}', b"[]", b"null", b'{"choices": []}', b'{"choices": [null]}', b"7"]
)
def test_a_reply_of_another_form_is_no_answer(endpoint, tmp_path, reply):
    endpoint.reply = reply
    with pytest.raises(NoAnswerError, match="no answer"):
        judge(endpoint, tmp_path).score(PICTURE, PAIR)


@pytest.mark.parametrize("kept", ['{"answer": null}', '{"answer": 3}', "{}", "[]", "", "not json", "[" * 100_000])
def test_an_answer_kept_by_an_older_version_without_text_is_asked_for_again(endpoint, tmp_path, kept):
    judge(endpoint, tmp_path).score(PICTURE, PAIR)
    (path,) = (tmp_path / "answers").iterdir()
    path.write_text(kept)
    assert judge(endpoint, tmp_path).score(PICTURE, PAIR) == 87.5
    assert len(endpoint.asked) == 2


def test_a_busy_endpoint_is_asked_again(endpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("tome_ext.research.judging.object_binding.request_json", partial(request_json, wait=no_wait))
    endpoint.statuses = [429, 500, 503]
    assert judge(endpoint, tmp_path).score(PICTURE, PAIR) == 87.5
    assert len(endpoint.asked) == 4


def no_wait(seconds):
    assert 0 < seconds <= 60


@pytest.mark.parametrize("text", ["score (score (", "score score ", "score: 1", "Score (0", "score   (", "1.1.1"])
def test_a_long_answer_is_read_in_linear_time(text):
    """Read in quadratic time, this does not end in minutes."""
    read_score(text * 100_000)


def test_the_key_is_not_written_anywhere(endpoint, tmp_path):
    judge(endpoint, tmp_path, key="secret").score(PICTURE, PAIR)
    assert not any("secret" in path.read_text() for path in (tmp_path / "answers").iterdir())
