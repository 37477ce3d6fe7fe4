"""Run by the WebUI at every start: installs what is missing, and changes no package that is there.

Everything the extension needs comes with the WebUI. spaCy with its small English model is optional: with them,
the prompt is read by a trained parser, without them by the built-in one. ``TOME_SPACY=0`` in the environment leaves
them out. A failed attempt is noted in ``.install-note`` and not repeated until that file is deleted.

In ComfyUI, which runs ``install.py`` of custom nodes too (``COMFYUI_PATH`` is set), nothing is done.
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
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pinned:
    """A version of spaCy, and the model that fits it, checked by its SHA-256."""

    series: str
    spacy: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """The name of the model's wheel."""
        return f"{MODEL}-{self.version}-py3-none-any.whl"

    @property
    def url(self) -> str:
        """Where the model's wheel is."""
        return f"https://github.com/explosion/spacy-models/releases/download/{MODEL}-{self.version}/{self.file}"


MODEL = "en_core_web_sm"
MODELS = (MODEL, "en_core_web_md", "en_core_web_lg", "en_core_web_trf")
# spaCy is compiled against numpy: 3.7 against numpy 1, 3.8 against numpy 2. The other one installs and does not import.
NUMPY_1 = Pinned(
    "3.7", "spacy>=3.7.2,<3.8", "3.7.1", "86cc141f63942d4b2c5fcee06630fd6f904788d2f0ab005cce45aadb8fb73889"
)
NUMPY_2 = Pinned(
    "3.8", "spacy>=3.8.7,<3.9", "3.8.0", "1932429db727d4bff3deed6b34cfc05df17794f4a52eeb26cf8928f7c1a0fb85"
)
NOTE = Path(__file__).parent / ".install-note"
SECONDS = 600  # for everything together
LARGEST = 64 * 2**20  # bytes of a model; the small ones have 13 MB


class StepError(Exception):
    """An optional step failed; the message is one line."""


class Clock:
    """The time that is left for everything."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds; StepError where none are left."""
        found = self._end - time.monotonic()
        if found <= 0:
            raise StepError(f"installing spaCy took more than {SECONDS // 60} minutes and was stopped.")
        return found


def main() -> None:
    """Install spaCy and its model where they are missing and wanted. Nothing that fails here stops the WebUI."""
    if declined():
        return
    missing = [name for name, there in (("spaCy", has("spacy")), (MODEL, any(map(has, MODELS)))) if not there]
    if not missing or already_failed():
        return
    echo(f"installing {' and '.join(missing)} (optional; TOME_SPACY=0 leaves this out) ...")
    try:
        install("spaCy" in missing, MODEL in missing)
    except StepError as error:
        echo(f"{without_passwords(str(error))} The built-in parser is used. Delete {NOTE} to try again.")
        note()
    except Exception as error:
        reason = without_passwords(f"{type(error).__name__}: {error}".splitlines()[0])
        echo(f"spaCy could not be installed ({reason}). The built-in parser is used. Delete {NOTE} to try again.")
        note()
    else:
        echo("spaCy is ready.")


def install(spacy: bool, model: bool) -> None:
    """Install what is missing, and take it away again where it does not load afterwards."""
    clock = Clock(SECONDS)
    if not has("pip"):
        raise StepError("spaCy was not installed, as this Python has no pip.")
    before = installed()
    pinned = fitting(before)
    # The model first: spaCy is of no use without one.
    wheel = download_model(pinned, clock) if model else b""
    try:
        if spacy:
            install_spacy(pinned, before, clock)
        if wheel:
            install_model(pinned, wheel, clock)
        check_loading(clock)
    except StepError as error:
        raise StepError(f"{error} {remove_new(before)}".strip()) from error


def has(module: str) -> bool:
    """Whether a module can be imported; nothing is."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def declined() -> bool:
    """Whether the user wants nothing installed, or this is no WebUI."""
    skipped = "--skip-install" in os.environ.get("COMMANDLINE_ARGS", "").split()
    return os.environ.get("TOME_SPACY") == "0" or skipped or bool(os.environ.get("COMFYUI_PATH"))


def attempt() -> str:
    """What is tried, for the note: where any of it changes, it is tried again."""
    pins = " ".join(f"{one.spacy} {one.file}" for one in (NUMPY_1, NUMPY_2))
    try:
        numpy = importlib.metadata.version("numpy")
    except Exception:  # missing or damaged
        numpy = "unknown"
    there = f"{sys.version_info[0]}.{sys.version_info[1]}, numpy {numpy}{'' if has('pip') else ', no pip'}"
    return f"{pins}; Python {there}"


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
        echo(f"the note could not be written: {error}")


def installed() -> dict[str, str]:
    """The versions of all packages by normalised name (PEP 503); of two, the one that Python imports: the first.

    A package whose metadata cannot be read is left out.
    """
    found: dict[str, str] = {}
    for one in importlib.metadata.distributions():
        try:
            name, version = one.metadata["Name"], one.version
        except Exception:  # damaged metadata raise anything, by the version of Python
            continue
        if name and version:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return found


def fitting(packages: dict[str, str]) -> Pinned:
    """The pin that fits the spaCy that is there, or else numpy; StepError where no model is pinned."""
    if has("spacy"):
        there = packages.get("spacy", "of an unknown version")
        for pinned in (NUMPY_1, NUMPY_2):
            if there.startswith(f"{pinned.series}."):
                return pinned
        raise StepError(f"no model is pinned for spaCy {there}; 'python -m spacy download {MODEL}' gets one.")
    return NUMPY_1 if packages.get("numpy", "2").startswith("1.") else NUMPY_2


def install_spacy(pinned: Pinned, packages: dict[str, str], clock: Clock) -> None:
    """Install spaCy with every package that is there held at its version."""
    lines = (f"{name}=={version}\n" for name, version in sorted(packages.items()))
    with temporary("constraints.txt", "".join(lines).encode()) as constraints:
        pip("spaCy", ["--only-binary", ":all:", "--constraint", str(constraints), pinned.spacy], clock)


def download_model(pinned: Pinned, clock: Clock) -> bytes:
    """The model from its pinned address, if it is the file it should be."""
    data = b""
    try:
        with urllib.request.urlopen(pinned.url, timeout=20) as answer:
            while part := answer.read(1 << 16):
                data += part
                clock.left()
                if len(data) > LARGEST:
                    raise StepError(f"the downloaded model {MODEL} is larger than it should be.")
    except (OSError, http.client.HTTPException) as error:
        raise StepError(f"the model {MODEL} could not be downloaded ({error}).") from error
    if hashlib.sha256(data).hexdigest() != pinned.sha256:
        raise StepError(f"the downloaded model {MODEL} is not the expected file (SHA-256) and was not installed.")
    return data


def install_model(pinned: Pinned, data: bytes, clock: Clock) -> None:
    """Install the model's package alone."""
    with temporary(pinned.file, data) as wheel:
        pip(MODEL, ["--no-deps", "--no-index", str(wheel)], clock)


@contextmanager
def temporary(name: str, data: bytes) -> Iterator[Path]:
    """A file of this name in a temporary folder; StepError where it cannot be written."""
    try:
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    except OSError as error:
        raise StepError(f"there is no room for temporary files ({error}).") from error
    with folder as place:
        path = Path(place) / name
        try:
            path.write_bytes(data)
        except OSError as error:
            raise StepError(f"there is no room for temporary files ({error}).") from error
        yield path


def pip(what: str, arguments: list[str], clock: Clock) -> None:
    """Run pip install; StepError with its own last word when it fails."""
    index = os.environ.get("INDEX_URL", "")
    own = {"PIP_INDEX_URL": index} if index else {}  # not among the arguments, where every user of the machine sees it
    done = run(what, ["-m", "pip", "install", *_QUIET, "--retries", "1", *arguments], clock.left(), own)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.strip()] or [f"pip ended with {done.returncode}"]
        marked = [line for line in errors if line.startswith("ERROR")]
        raise StepError(f"{what} could not be installed ({(marked or errors)[-1].strip()}).")


_QUIET = ("--disable-pip-version-check", "--no-input")
_LOAD = "import sys, spacy; names = [n for n in sys.argv[1:] if spacy.util.is_package(n)]; spacy.load(names[0])"


def check_loading(clock: Clock) -> None:
    """Load spaCy and its model in a fresh process; StepError with the reason where that fails."""
    done = run("spaCy", ["-c", _LOAD, *MODELS], clock.left())
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise StepError(f"spaCy does not load ({reason}).")


def remove_new(before: dict[str, str]) -> str:
    """Take away the packages that were not there before; a sentence on what was done, empty for nothing."""
    new = sorted(installed().keys() - before.keys())
    if not new:
        return ""
    try:
        done = run("spaCy", ["-m", "pip", "uninstall", "--yes", *_QUIET, *new], 120)
    except StepError:
        done = None
    if done is None or done.returncode:
        return f"These new packages could not be removed: {', '.join(new)}."
    return "What had been installed was removed again."


def run(what: str, arguments: list[str], seconds: float, own: dict[str, str] | None = None) -> Done:
    """Run this Python with ``arguments``; StepError where it cannot be started or takes too long."""
    command = [sys.executable, *arguments]
    environment = {**os.environ, **(own or {})}
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=seconds, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise StepError(f"installing {what} took more than {SECONDS // 60} minutes and was stopped.") from error
    except OSError as error:
        raise StepError(f"{what} could not be installed ({error}).") from error


Done = subprocess.CompletedProcess[str]


def without_passwords(text: str) -> str:
    """``text`` with the user and password taken out of every address, and what follows a question mark."""
    return re.sub(r"(\w+://)(?:\S*@)?([^\s?]*)(\?\S*)?", r"\1\2", text)


def echo(text: str) -> None:
    """One line on the console."""
    print(f"[ToMe] {text}", flush=True)


if __name__ == "__main__":
    main()
