"""The routes and the check over HTTP, where FastAPI is installed."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

import pytest

from tome_ext.hosts.webui.ui import api
from tome_ext.hosts.webui.ui.options import TITLE

pytest.importorskip("fastapi")
pytest.importorskip("httpx")
from fastapi import Body, Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials


@pytest.fixture
def app():
    """An application with the WebUI's two routes behind a password, and ours added to it."""
    made = FastAPI()
    made.images = []

    def password(credentials: HTTPBasicCredentials = Depends(HTTPBasic())) -> bool:  # noqa: B008
        if not secrets.compare_digest(credentials.password, "right"):
            raise HTTPException(401)
        return True

    def image(body: Any = Body(...)) -> dict[str, bool]:  # noqa: B008
        made.images.append(body)
        return {"made": True}

    for path in ("/sdapi/v1/txt2img", "/sdapi/v1/img2img"):
        made.add_api_route(path, image, methods=["POST"], dependencies=[Depends(password)])
    api.add_routes(None, made)
    return made


@pytest.fixture
def client(app):
    from fastapi.testclient import TestClient

    found = TestClient(app)
    found.auth = ("user", "right")
    return found


def post(client, path, body):
    return client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
@pytest.mark.parametrize(
    ("entry", "status"),
    [
        ({"args": [True, "paper"]}, 200),
        ({"args": [True, {"iterations": 99}]}, 422),
        ({"args": [True, {"groups": "\ud800"}]}, 422),
        ({}, 422),
        ([True], 422),
        (None, 422),
    ],
)
def test_a_request_is_checked_before_any_image_is_made(app, client, tab, entry, status):
    answer = post(client, f"/sdapi/v1/{tab}", {"alwayson_scripts": {TITLE: entry}})
    assert answer.status_code == status
    assert len(app.images) == (status == 200)
    assert len(answer.content) < 1000
    if status == 422:
        assert answer.json()["detail"].startswith(f"{TITLE}: ")


def test_half_a_character_in_a_prompt_is_answered_with_422(client):
    answer = post(client, api.GROUPS, {"prompts": ["a red \ud800 cat"]})
    assert (answer.status_code, answer.json()["detail"][:10]) == (422, "prompts[0]")


def test_the_routes_answer_and_want_the_password(client):
    assert post(client, api.GROUPS, {"prompts": ["a red cat"]}).json()["prompts"][0]["texts"][0]["clean"] == "a cat"
    assert client.get(api.SETTINGS).json()["title"] == TITLE
    client.auth = ("user", "wrong")
    assert post(client, api.GROUPS, {"prompts": []}).status_code == 401
    assert client.get(api.SETTINGS).status_code == 401
    assert post(client, "/sdapi/v1/txt2img", {}).status_code == 401


def test_a_check_does_not_hold_up_other_requests(app, client, monkeypatch):
    """It runs in a thread of its own, not on the event loop."""
    threads = []
    monkeypatch.setattr(api, "problem", lambda body: threads.append(_on_event_loop()) or "")
    assert post(client, "/sdapi/v1/txt2img", {"prompt": "a cat"}).status_code == 200
    assert threads == [False]


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def test_a_failing_check_does_not_stop_the_request(client, monkeypatch):
    def fail(body):
        raise ValueError("of our own")

    monkeypatch.setattr(api, "problem", fail)
    assert post(client, "/sdapi/v1/txt2img", {"prompt": "a cat"}).status_code == 200
