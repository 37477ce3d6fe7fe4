#!/usr/bin/env python3
"""Ask a running WebUI for an image with ToMe and one without it, through its API. Needs Python alone.

python3 api_client.py "a cat wearing sunglasses and a dog wearing a hat" --preset paper

The WebUI must run with --api. See docs/API.md.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TITLE = "ToMe Semantic Binding"


class Refused(Exception):
    """The WebUI did not answer, or said what is wrong with the request."""


def call(url: str, body: dict[str, Any] | None = None) -> Any:
    """The JSON answer to a GET, or with a body to a POST."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise Refused(f"{error.code}: {message(error.read())}") from error
    except urllib.error.URLError as error:
        raise Refused(f"{url} cannot be reached: {error.reason}") from error


def message(answer: bytes) -> str:
    """What an error's answer says."""
    try:
        said = json.loads(answer)
    except ValueError:
        return answer.decode(errors="replace")
    return str(said.get("detail") or said.get("errors") or said) if isinstance(said, dict) else str(said)


def show_groups(url: str, prompt: str, groups: str) -> None:
    """Print which words of the prompt belong together, as the WebUI reads it."""
    answer = call(f"{url}/tome/v1/groups", {"prompts": [prompt], "groups": groups})
    for text in answer["prompts"][0]["texts"]:
        for group in text["groups"]:
            print(f"{group['noun']['text']}: {', '.join(word['text'] for word in group['related'])}")
        print(f"clean prompt: {text['clean']}")
        for warning in text["warnings"]:
            print(f"warning: {warning}")


def make(url: str, request: dict[str, Any], tome: list[Any], file: Path) -> None:
    """One image into ``file``, its infotext on the terminal."""
    answer = call(f"{url}/sdapi/v1/txt2img", {**request, "alwayson_scripts": {TITLE: {"args": tome}}})
    file.write_bytes(base64.b64decode(answer["images"][0]))
    print(f"\n{file}\n{json.loads(answer['info'])['infotexts'][0]}")


def main() -> int:
    """Read the command line, and make the two images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompt")
    parser.add_argument("--url", default="http://127.0.0.1:7860")
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--groups", default="", help='by hand: "cat: wearing sunglasses; dog: hat"')
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="other settings: iterations=2 ets=off"
    )
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path())
    args = parser.parse_args()
    values: dict[str, Any] = {"preset": args.preset, "groups": args.groups}
    for item in args.set:
        name, _, value = item.partition("=")
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    request = {
        "prompt": args.prompt,
        "steps": args.steps,
        "width": args.size,
        "height": args.size,
        "seed": args.seed,
        "sampler_name": "DPM++ 2M",
    }
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        show_groups(args.url, args.prompt, args.groups)
        # First, so that a mistake in the settings is told before any image is made.
        make(args.url, request, [True, values], args.out / "tome.png")
        make(args.url, request, [False], args.out / "plain.png")
    except (Refused, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
