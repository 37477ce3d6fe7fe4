"""HTTP routes beside the WebUI's own, and a check of what is sent to those.

A request whose script arguments are wrong is answered with status 422 and what is wrong, before any image is made.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tome_ext.hosts.webui.ui.options import TITLE, Options, arguments
from tome_ext.hosts.webui.ui.preview import variants
from tome_ext.prompts import PARSERS, GroupSyntaxError, read_prompt
from tome_ext.prompts.preview import as_json
from tome_ext.settings import SettingError
from tome_ext.settings.schema import presets, properties

GROUPS, SETTINGS = "/tome/v1/groups", "/tome/v1/settings"
_IMAGES = ("/sdapi/v1/txt2img", "/sdapi/v1/img2img")
_MOST_PROMPTS, _LONGEST = 100, 20_000


class RequestError(ValueError):
    """A request that cannot be answered; the message names the field and what it may be."""


def add_routes(_demo: Any, app: Any) -> None:
    """Add the routes to the WebUI's application, where its API is on, behind the same password."""
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
    from fastapi.dependencies.utils import get_parameterless_sub_dependant

    async def check(request: Any) -> None:
        try:
            wrong = problem(await request.json())
        except Exception:
            logging.getLogger(__name__).exception("[ToMe] the request could not be checked")
            return
        if wrong:
            raise HTTPException(422, f"{TITLE}: {wrong}")

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
        if isinstance(name, str) and name.lower() == TITLE.lower() and isinstance(entry, Mapping) and "args" in entry:
            args = entry["args"]
            if not isinstance(args, list):
                return 'args must be a list: [true, "paper"] or [true, {"preset": "paper", "iterations": 2}]'
            try:
                Options.from_args(args)
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
    unknown = set(body) - {"prompts", "groups", "clean_prompt", "parser"}
    if unknown:
        raise RequestError(
            f"unknown field {sorted(map(str, unknown))[0]!r}; there are prompts, groups, clean_prompt, parser"
        )
    prompts = body.get("prompts")
    if not isinstance(prompts, list) or not all(isinstance(one, str) for one in prompts):
        raise RequestError("prompts must be a list of texts")
    if len(prompts) > _MOST_PROMPTS or any(len(one) > _LONGEST for one in prompts):
        raise RequestError(f"prompts: at most {_MOST_PROMPTS}, of at most {_LONGEST} characters each")
    manual, clean = (_text(body, name) for name in ("groups", "clean_prompt"))
    parser = body.get("parser", "auto")
    if parser not in PARSERS:
        raise RequestError(f"parser = {parser!r}: must be one of {', '.join(PARSERS)}")
    try:
        return {"prompts": [_answer(prompt, parser, manual, clean) for prompt in prompts]}
    except GroupSyntaxError as error:
        raise RequestError(f"groups: {error.problem} (character {error.position + 1})") from error


def _answer(prompt: str, parser: str, manual: str, clean: str) -> dict[str, Any]:
    readings = [read_prompt(text, parser=parser, manual=manual, clean=clean) for text in variants(prompt)]
    return {"prompt": prompt, "texts": [as_json(reading) for reading in readings]}


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise RequestError(f"{name} must be text of at most {_LONGEST} characters")
    return value
