"""JSON over HTTP with Python's own library: bounded retries, no redirects, and no password in any message."""

from __future__ import annotations

import base64
import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from tome_ext.settings import cut

LARGEST = 256 * 2**20  # bytes of an answer
LONGEST_WAIT = 60.0  # seconds before a further try


class AnswerError(OSError):
    """An address gave no usable answer; the message is one line and names the address without its password."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key or password is never sent to an address that the user did not name."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def public(url: str) -> str:
    """An address as it may be noted and shown: without user, password, query and fragment."""
    return re.sub(r"[?#].*", "", re.sub(r"^(\w+://)?.*@", r"\1", url))


def request_json(
    url: str,
    body: Any = None,
    *,
    seconds: float,
    key: str = "",
    tries: int = 1,
    wait: Callable[[float], None] = time.sleep,
) -> Any:
    """What an address answers to ``body`` (POST), or to nothing (GET), parsed.

    ``key`` is sent as a bearer token, a user and password in the address as basic authentication. Answers 429 and
    5xx and broken ones are retried after 1, 2, 4, … seconds, or after what the answer asks for, up to a minute, with
    at most ``tries`` tries in all. Raises AnswerError.
    """
    request, text = _request(url, body, key), b""
    for number in range(max(tries, 1)):
        last = number >= tries - 1
        try:
            text = _open(request, seconds)
            break
        except urllib.error.HTTPError as error:
            if last or (error.code != 429 and error.code < 500):
                raise AnswerError(_said(url, error)) from error
            wait(_pause(number, error.headers.get("Retry-After", "")))
        except http.client.HTTPException as error:
            if last or isinstance(error, http.client.InvalidURL):
                raise AnswerError(f"{public(url)} gave a broken answer ({type(error).__name__})") from error
            wait(_pause(number, ""))
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise AnswerError(f"{public(url)} does not answer: {cut(str(reason))}") from error
    return _parsed(url, text)


def _request(url: str, body: Any, key: str) -> urllib.request.Request:
    headers = {"Content-Type": "application/json"}
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AnswerError(f"{public(url)!r} is not an address: it must begin with http:// or https://")
    login, _, place = parts.netloc.rpartition("@")
    if login:
        headers["Authorization"] = "Basic " + base64.b64encode(urllib.parse.unquote(login).encode()).decode()
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    return urllib.request.Request(urllib.parse.urlunsplit(parts._replace(netloc=place)), data, headers)


def _open(request: urllib.request.Request, seconds: float) -> bytes:
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=seconds) as reply:
        found: bytes = reply.read(LARGEST + 1)
        if len(found) > LARGEST or reply.length:  # too long, or broken off
            raise http.client.IncompleteRead(b"")
    return found


def _parsed(url: str, text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"{public(url)} gave an answer that is not JSON") from error


def _pause(number: int, asked: str) -> float:
    """Seconds before the next try."""
    seconds = float(asked) if re.fullmatch(r"\d{1,9}", asked.strip()) else 2.0**number
    return min(seconds, LONGEST_WAIT)


def _said(url: str, error: urllib.error.HTTPError) -> str:
    """An error answer in one line, with what its body says."""
    if 300 <= error.code < 400:
        target = public(error.headers.get("Location", "elsewhere"))
        return f"{public(url)} refers to {cut(target, 200)}, which is not followed: name that address"
    try:
        text = error.read(2000).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        text = ""
    shown = " ".join(text.split())
    return f"{public(url)} answers {error.code} {error.reason}" + (f": {cut(shown, 300)}" if shown else "")
