"""HTTP routes beside the WebUI's own, and a check of what is sent to those.

A request whose script arguments are wrong is answered with status 422 and what is wrong, before any image is made.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tome_ext.hosts.webui import progress
from tome_ext.hosts.webui.ui.options import TITLE, Options, arguments
from tome_ext.hosts.webui.ui.preview import variants
from tome_ext.prompts import PARSERS, GroupSyntaxError, read_prompt
from tome_ext.prompts.preview import as_json
from tome_ext.settings import SettingError, check_unicode, cut, short
from tome_ext.settings.schema import presets, properties

GROUPS, SETTINGS = "/tome/v1/groups", "/tome/v1/settings"
_IMAGES = ("/sdapi/v1/txt2img", "/sdapi/v1/img2img")
_MOST_PROMPTS, _LONGEST, _LONGEST_TOGETHER = 100, 20_000, 100_000
_EXAMPLE = '{"args": [true, {"preset": "paper", "iterations": 2}]}'


class RequestError(ValueError):
    """A request that cannot be answered; the message names the field and what it may be."""


def add_routes(_demo: Any, app: Any) -> None:
    """Add the routes to the WebUI's application, where its API is on, behind the same password."""
    progress.add(app)
    images = [route for route in app.routes if getattr(route, "path", "") in _IMAGES]
    if not images:
        return
    from fastapi import Body, HTTPException

    locks = list(images[0].dependencies)

    def groups(body: Any = Body(...)) -> Any:  # noqa: B008
        try:
            return answer_groups(body)
        except RequestError as error:
            raise HTTPException(422, str(error)) from error

    app.add_api_route(GROUPS, groups, methods=["POST"], dependencies=locks, summary="ToMe: read prompts")
    app.add_api_route(SETTINGS, answer_settings, methods=["GET"], dependencies=locks, summary="ToMe: settings")
    for route in images:
        _guard(route)


def _guard(route: Any) -> None:
    """Let a route of the WebUI check our arguments first."""
    from fastapi import Depends, HTTPException, Request
    from fastapi.concurrency import run_in_threadpool
    from fastapi.dependencies.utils import get_parameterless_sub_dependant

    async def check(request: Any) -> None:
        try:
            # In a thread: the event loop serves every other request.
            wrong = await run_in_threadpool(problem, await request.json())
        except Exception:
            logging.getLogger(__name__).exception("[ToMe] the request could not be checked")
            return
        if wrong:
            raise HTTPException(422, wrong if wrong.startswith(TITLE) else f"{TITLE}: {wrong}")

    check.__annotations__["request"] = Request
    depends = Depends(check)
    route.dependencies.append(depends)
    route.dependant.dependencies.append(get_parameterless_sub_dependant(depends=depends, path=route.path_format))


def problem(body: object) -> str:
    """What is wrong with the ToMe arguments of a txt2img or img2img request; empty where nothing is."""
    scripts = body.get("alwayson_scripts") if isinstance(body, Mapping) else None
    if not isinstance(scripts, Mapping):
        return ""
    for name, entry in scripts.items():
        if isinstance(name, str) and name.lower() == TITLE.lower():
            wrong = _wrong(entry)
            if wrong:
                return cut(wrong)
    return ""


def _wrong(entry: object) -> str:
    """What is wrong with the entry of a request that is ours."""
    if not isinstance(entry, Mapping) or "args" not in entry:
        return f"must be an object with a list of arguments, such as {_EXAMPLE}"
    if not isinstance(entry["args"], list):
        return f"args must be a list: {_EXAMPLE}"
    try:
        Options.from_args(entry["args"])
    except SettingError as error:
        return str(error)
    return ""


def answer_settings() -> dict[str, Any]:
    """The arguments in their order, the schema of each, and the presets' values."""
    return {
        "title": TITLE,
        "arguments": [argument.name for argument in arguments()],
        "schema": {"type": "object", "additionalProperties": False, "properties": properties(arguments())},
        "presets": presets(),
    }


def answer_groups(body: object) -> dict[str, Any]:
    """For each prompt its texts (more than one with AND or prompt editing): groups, clean prompt and warnings."""
    if not isinstance(body, Mapping):
        raise RequestError('the body must be an object, such as {"prompts": ["a red cat and a blue dog"]}')
    unknown = [name for name in body if name not in ("prompts", "groups", "clean_prompt", "parser")]
    if unknown:
        raise RequestError(
            f"unknown field {short(unknown[0])}; the fields are prompts, groups, clean_prompt and parser"
        )
    prompts = _prompts(body.get("prompts"))
    manual, clean = (_text(name, body.get(name, "")) for name in ("groups", "clean_prompt"))
    parser = body.get("parser", "auto")
    if parser not in PARSERS:
        raise RequestError(f"parser = {short(parser)}: must be one of {', '.join(PARSERS)}")
    try:
        return {"prompts": [_answer(prompt, str(parser), manual, clean) for prompt in prompts]}
    except GroupSyntaxError as error:
        raise RequestError(f"groups: {cut(error.problem)} (character {error.position + 1})") from error


def _prompts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise RequestError("prompts must be a list of texts")
    if len(value) > _MOST_PROMPTS or any(len(one) > _LONGEST for one in value):
        raise RequestError(f"prompts: at most {_MOST_PROMPTS}, of at most {_LONGEST} characters each")
    if sum(map(len, value)) > _LONGEST_TOGETHER:
        raise RequestError(f"prompts: at most {_LONGEST_TOGETHER} characters together")
    return [_text(f"prompts[{number}]", one) for number, one in enumerate(value)]


def _answer(prompt: str, parser: str, manual: str, clean: str) -> dict[str, Any]:
    readings = [read_prompt(text, parser=parser, manual=manual, clean=clean) for text in variants(prompt)]
    return {"prompt": prompt, "texts": [as_json(reading) for reading in readings]}


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise RequestError(f"{name} must be text of at most {_LONGEST} characters")
    try:
        check_unicode(name, value)
    except SettingError as error:
        raise RequestError(str(error)) from error
    return value
