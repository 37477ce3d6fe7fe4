"""What made and judged a run's images, so that a folder never holds two models' images or two judges' scores."""

from __future__ import annotations

import argparse
import hashlib
import json
from importlib import resources
from pathlib import Path

from tome_ext.cli.models import EMBEDDED, model_name
from tome_ext.hosts.common.http import public, request_json

_CHUNK = 1 << 20


def made_by(arguments: argparse.Namespace) -> dict[str, str]:
    """The model, its weights, the precision and the judge that the flags of a run name."""
    if arguments.webui:
        found = {"model": f"{public(arguments.webui)}, {_loaded(arguments.webui)}"}
    else:
        found = {"model": model_name(arguments.model), "weights": weights(arguments.model), "dtype": arguments.dtype}
    return {**found, "judge": _judge(arguments)}


def weights(model: str) -> str:
    """A short digest of a model's files: of a file its bytes, of a folder the names and sizes; "" for a hub id."""
    if model in EMBEDDED:
        with resources.as_file(resources.files("tome_ext.embedded").joinpath(f"{model}.safetensors")) as own:
            return _digest(own) if own.exists() else ""
    path = Path(model).expanduser()
    if path.is_dir():
        listing = sorted((str(one.relative_to(path)), one.stat().st_size) for one in path.rglob("*") if one.is_file())
        return hashlib.sha256(json.dumps(listing).encode()).hexdigest()[:16]
    return _digest(path) if path.exists() else ""


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            digest.update(part)
    return digest.hexdigest()[:16]


def _loaded(url: str) -> str:
    """The checkpoint that a WebUI has loaded. OSError where it does not answer."""
    options = request_json(f"{url.rstrip('/')}/sdapi/v1/options", seconds=60)
    if not isinstance(options, dict):
        raise ValueError(f"{public(url)} does not answer as a WebUI does")
    return str(options.get("sd_model_checkpoint"))


def _judge(arguments: argparse.Namespace) -> str:
    if getattr(arguments, "blip", None):
        return f"BLIP, {model_name(arguments.blip)} {weights(arguments.blip)}".strip()
    if getattr(arguments, "judge_url", None):
        return f"{arguments.judge_model} at {public(arguments.judge_url)}"
    return "shapes"
