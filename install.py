"""Run by the WebUI at every start: installs what is missing, and changes no package that is there.

Everything the extension needs comes with the WebUI. spaCy with its small English model is optional: with them,
the prompt is read by a trained parser, without them by the built-in one. ``TOME_SPACY=0`` in the environment leaves
them out. A failed attempt is noted in ``.install-note`` and not repeated until that file is deleted.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

SPACY = "spacy>=3.7.2,<3.8"  # 3.8 wants numpy 2, which the WebUI does not live with
MODEL = "en_core_web_sm"
MODELS = (MODEL, "en_core_web_md", "en_core_web_lg", "en_core_web_trf")
MODEL_FILE = "en_core_web_sm-3.7.1-py3-none-any.whl"
MODEL_URL = f"https://github.com/explosion/spacy-models/releases/download/en_core_web_sm-3.7.1/{MODEL_FILE}"
MODEL_SHA256 = "86cc141f63942d4b2c5fcee06630fd6f904788d2f0ab005cce45aadb8fb73889"
NOTE = Path(__file__).parent / ".install-note"


class StepError(Exception):
    """An optional step failed; the message is one line."""


def main() -> None:
    """Install spaCy and its model where they are missing and wanted."""
    missing = [name for name, there in (("spaCy", has("spacy")), (MODEL, any(map(has, MODELS)))) if not there]
    if not missing or declined() or already_failed():
        return
    say(f"installing {' and '.join(missing)} (optional; TOME_SPACY=0 leaves this out) ...")
    try:
        # The model first: spaCy is of no use without one.
        model = download_model() if MODEL in missing else b""
        if "spaCy" in missing:
            install_spacy()
        if model:
            install_model(model)
    except StepError as error:
        say(f"{error} The built-in parser is used. Delete {NOTE} to try again.")
        note()
    else:
        say("spaCy is ready.")


def has(module: str) -> bool:
    """Whether a module can be imported; nothing is."""
    return importlib.util.find_spec(module) is not None


def declined() -> bool:
    """Whether the user wants nothing installed."""
    return os.environ.get("TOME_SPACY") == "0" or "--skip-install" in os.environ.get("COMMANDLINE_ARGS", "").split()


def attempt() -> str:
    """What is tried, for the note: another version of it, or another Python, is tried again."""
    return f"{SPACY} {MODEL_FILE} {sys.version_info[0]}.{sys.version_info[1]}"


def already_failed() -> bool:
    """Whether the same attempt failed before."""
    try:
        return NOTE.read_text(encoding="utf-8").strip() == attempt()
    except (OSError, UnicodeDecodeError):
        return False


def note() -> None:
    """Note the failed attempt."""
    try:
        NOTE.write_text(attempt() + "\n", encoding="utf-8")
    except OSError as error:
        say(f"the note could not be written: {error}")


def installed() -> dict[str, str]:
    """The versions of all packages by normalised name (PEP 503); of two, the one that Python imports: the first."""
    found: dict[str, str] = {}
    for one in importlib.metadata.distributions():
        name, version = one.metadata["Name"], one.version
        if name and version:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return found


def install_spacy() -> None:
    """Install spaCy with every package that is there held at its version."""
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        lines = (f"{name}=={version}\n" for name, version in sorted(installed().items()))
        constraints.write_text("".join(lines), encoding="utf-8")
        pip("spaCy", ["--only-binary", ":all:", "--constraint", str(constraints), SPACY])


def download_model() -> bytes:
    """The model from its pinned address, if it is the file it should be."""
    version = importlib.metadata.version("spacy") if has("spacy") else "3.7"
    if not version.startswith("3.7"):
        raise StepError(f"no model is pinned for spaCy {version}; 'python -m spacy download {MODEL}' gets one.")
    try:
        with urllib.request.urlopen(MODEL_URL, timeout=20) as answer:
            data: bytes = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise StepError(f"the model {MODEL} could not be downloaded ({error}).") from error
    if hashlib.sha256(data).hexdigest() != MODEL_SHA256:
        raise StepError(f"the downloaded model {MODEL} is not the expected file (SHA-256) and was not installed.")
    return data


def install_model(data: bytes) -> None:
    """Install the model's package alone."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(folder) / MODEL_FILE
        wheel.write_bytes(data)
        pip(MODEL, ["--no-deps", "--no-index", str(wheel)])


def pip(what: str, arguments: list[str]) -> None:
    """Run pip install; StepError with its own last word when it fails."""
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--retries", "1"]
    index = os.environ.get("INDEX_URL", "")
    command += ["--index-url", index] if index and "--no-index" not in arguments else []
    try:
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise StepError(f"{what} could not be installed ({error}).") from error
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        raise StepError(f"{what} could not be installed ({errors[-1]}).")


def say(text: str) -> None:
    """One line on the console."""
    print(f"[ToMe] {text}", flush=True)


if __name__ == "__main__":
    main()
