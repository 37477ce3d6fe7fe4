"""Requests against a server on this machine that answers what it is told to."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tome_ext.hosts.common import http
from tome_ext.hosts.common.http import AnswerError, public, request_json


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_GET(self):
        self.server.asked.append((self.command, self.path, self.headers.get("Authorization")))
        status, headers, body = self.server.answers.pop(0) if self.server.answers else (200, {}, b'{"done": true}')
        if status == 0:  # an answer that breaks off
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            return
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def servers():
    """Makes servers; each notes what it was asked."""
    made = []

    def make(*answers):
        server = HTTPServer(("127.0.0.1", 0), Handler)
        server.asked, server.answers = [], list(answers)
        server.url = f"http://127.0.0.1:{server.server_port}/v1"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.append(server)
        return server

    yield make
    for server in made:
        server.shutdown()
        server.server_close()


def ask(url, waits=None, tries=5, **more):
    waits = [] if waits is None else waits
    return request_json(url, {"a": 1}, seconds=10, tries=tries, wait=waits.append, **more)


def test_an_answer_is_parsed(servers):
    server = servers()
    assert ask(server.url, key="k") == {"done": True}
    assert request_json(server.url, seconds=10) == {"done": True}
    assert server.asked == [("POST", "/v1", "Bearer k"), ("GET", "/v1", None)]


def test_busy_and_failing_answers_are_retried_with_growing_waits(servers):
    waits = []
    server = servers((429, {}, b""), (500, {}, b""), (503, {}, b""), (0, {}, b""))
    assert ask(server.url, waits) == {"done": True}
    assert waits == [1, 2, 4, 8]


def test_a_wait_that_is_asked_for_is_kept_to_within_a_minute(servers):
    waits = []
    server = servers(*((429, {"Retry-After": asked}, b"") for asked in ("7", "86400", "soon")))
    ask(server.url, waits)
    assert waits == [7, 60, 4]


def test_tries_are_bounded_and_the_last_answer_is_told(servers):
    waits = []
    server = servers(*[(503, {}, b'{"error": "model is loading"}')] * 9)
    with pytest.raises(AnswerError, match=r'/v1 answers 503 .*: {"error": "model is loading"}'):
        ask(server.url, waits, tries=3)
    assert len(server.asked) == 3
    assert waits == [1, 2]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_not_retried(servers, status):
    server = servers((status, {}, b"x" * 100_000))
    with pytest.raises(AnswerError, match=f"answers {status}") as caught:
        ask(server.url)
    assert len(server.asked) == 1
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_key_does_not_follow_a_redirect(servers, status):
    other = servers()
    server = servers((status, {"Location": f"{other.url}/else?token=x"}, b""))
    with pytest.raises(AnswerError, match=f"refers to {other.url}/else, which is not followed"):
        ask(server.url, key="SECRETKEY")
    assert other.asked == []


def test_a_password_in_the_address_is_sent_and_never_shown(servers):
    server = servers((200, {}, b"1"), (500, {}, b"no"))
    url = server.url.replace("http://", "http://us%40er:s3cret@")
    ask(url)
    assert server.asked[0][2] == "Basic dXNAZXI6czNjcmV0"
    with pytest.raises(AnswerError) as caught:
        ask(f"{url}?key=s3cret", tries=1)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"not json", b"[" * 100_000, b"\xff\xfe"])
def test_an_answer_that_is_not_json_is_said(servers, body):
    with pytest.raises(AnswerError, match="not JSON"):
        ask(servers((200, {}, body)).url)


def test_an_answer_without_end_is_not_read_to_its_end(servers, monkeypatch):
    monkeypatch.setattr(http, "LARGEST", 1000)
    with pytest.raises(AnswerError, match="broken answer"):
        ask(servers((200, {}, json.dumps("x" * 5000).encode())).url, tries=1)
    longest = "x" * 998  # and its two quotation marks
    assert ask(servers((200, {}, json.dumps(longest).encode())).url, tries=1) == longest
    with pytest.raises(AnswerError, match="broken answer"):
        ask(servers((200, {}, json.dumps(longest + "x").encode())).url, tries=1)


@pytest.mark.parametrize(
    "url", ["", "localhost:1", "ftp://x/", "http://", "user:s3cret@host", "http://u:s3cret@h:port/"]
)
def test_what_is_no_address_is_refused_without_its_password(url):
    with pytest.raises(AnswerError) as caught:
        ask(url)
    assert "s3cret" not in str(caught.value)


def test_nobody_there_is_said_in_one_line():
    with pytest.raises(AnswerError, match=r"http://127\.0\.0\.1:9/v1 does not answer: .*refused"):
        ask("http://user:s3cret@127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host:1/v1", "http://host:1/v1"),
        ("https://a:b@host/v1?key=c#d", "https://host/v1"),
        ("a:b@host/v1", "host/v1"),
        ("https://a:b@c@host/v1", "https://host/v1"),
        ("https://a:b/c@host/v1", "https://host/v1"),
    ],
)
def test_an_address_may_be_shown_without_what_is_secret(url, shown):
    assert public(url) == shown
