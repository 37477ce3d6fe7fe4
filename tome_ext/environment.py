"""The environment in ``.venv``: made, repaired or reused, with the pinned packages.

This file and ``quickstart`` need Python alone, and are written so that an older Python can read them far
enough to be told that it is too old: annotations with brackets are quoted.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST, NEWEST = (3, 10), (3, 13)
ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = "requirements-dev.txt"
STAMP = "quickstart-stamp"
INSTALLING, INCOMPLETE = "installing", "incomplete"
DAMAGED = "!"
NEEDED_BYTES = 3 * 2**30

# What pip prints, and what it means; the first that matches is shown.
_EXPLANATIONS = (
    (
        r"No space left|Errno 28|WinError 112",
        "The disk is full. Free about 8 GB (3 GB without CUDA) and run this again.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "The package index could not be verified: a proxy or a firewall stands in between, or the computer's "
        "clock or certificates are wrong. pip's own settings (PIP_CERT, PIP_PROXY) help.",
    ),
    (
        r"Failed to establish a new connection|NameResolutionError|Temporary failure in name resolution|"
        r"getaddrinfo failed|Network is unreachable|ConnectTimeout|ReadTimeout|ProxyError|ConnectionResetError",
        "The package index could not be reached. Check the network, or pip's settings for a proxy or a mirror, "
        "and run this again; what was downloaded is kept.",
    ),
    (
        r"is not a trusted or secure host",
        "pip does not trust the package index, as its address is not https. Change the address in pip's settings, or "
        "name the host there as trusted (PIP_TRUSTED_HOST).",
    ),
    (
        r"No matching distribution found for ([^\s]+)",
        "There is no {0} for this Python on this machine. 64-bit Python 3.10, 3.11, 3.12 or 3.13 is needed.",
    ),
    (r"Permission denied|Errno 13|WinError 5\b", "A file could not be written: check who owns this folder and .venv."),
    (r"WinError 206|Errno 36|path too long", "A path became too long for Windows: move the clone to a shorter path."),
)


class SetupError(Exception):
    """The environment could not be made; the message says why and what to do."""


def check_python(version: "tuple[int, ...]") -> None:
    """Raise SetupError unless ``version`` is one that the project runs on."""
    if OLDEST <= tuple(version[:2]) <= NEWEST:
        return
    wanted = "{}.{} to {}.{}".format(*OLDEST, *NEWEST)
    message = f"This is Python {version[0]}.{version[1]}, and Python {wanted} is needed."
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        name = f"python3.{minor}"
        if shutil.which(name):
            raise SetupError(f"{message} There is a {name} here: use that in place of python3.")
    raise SetupError(message + " Install one and use it in place of python3.")


def venv_python(venv: Path) -> Path:
    """The interpreter of the environment ``venv``."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def wanted_stamp(root: Path) -> str:
    """What the stamp of a finished environment says: a hash of the pinned requirements."""
    return hashlib.sha256((root / REQUIREMENTS).read_bytes()).hexdigest()


def requirement_names(text: str) -> "list[str]":
    """The names of the packages that a requirements file asks for, each once."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    names = (re.split(r"[\s;<>=!~\[]", line)[0] for line in lines if line)
    return list(dict.fromkeys(name for name in names if name))


def torch_requirement(text: str) -> str:
    """The line of a requirements file that pins PyTorch."""
    return next(line.strip() for line in text.splitlines() if line.startswith("torch=="))


def explain(output: str) -> str:
    """What went wrong, in plain words, given what pip printed; empty when nothing is recognised."""
    for pattern, meaning in _EXPLANATIONS:
        found = re.search(pattern, output)
        if found:
            return meaning.format(*found.groups())
    return ""


def state_of(venv: Path, wanted: str) -> str:
    """How far the environment is: ``missing``, ``foreign``, ``broken``, ``stale`` or ``ready``.

    ``foreign`` is whatever does not carry our own stamp: it is never touched. ``stale`` can be completed by pip;
    ``broken``, an interrupted or damaged one, is made anew.
    """
    if not os.path.lexists(str(venv)) or (venv.is_dir() and not any(venv.iterdir())):
        return "missing"
    stamp = venv / STAMP
    if venv.is_symlink() or not stamp.is_file():
        return "foreign"
    found = stamp.read_text(encoding="utf-8", errors="replace").strip()
    if found == INSTALLING or not _answers(venv):
        return "broken"
    lacking = missing_packages(venv)
    if any(name.startswith(DAMAGED) for name in lacking):
        return "broken"  # pip would take them for installed
    return "ready" if found == wanted and not lacking else "stale"


def _answers(venv: Path) -> bool:
    """Whether the environment's interpreter starts, is a version we run on, and has pip."""
    code = "import sys, importlib.util as u; print(*sys.version_info[:2], u.find_spec('pip') is not None)"
    try:
        command = [str(venv_python(venv)), "-I", "-c", code]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=120)
    except (OSError, subprocess.SubprocessError):
        return False
    words = done.stdout.decode(errors="replace").split()
    if done.returncode or len(words) != 3 or words[2] != "True" or not (venv / "pyvenv.cfg").is_file():
        return False
    return OLDEST <= (int(words[0]), int(words[1])) <= NEWEST


# Prints the names of packages that are not there, marked where their metadata are there and their files are not.
_MISSING = """
import importlib.metadata as m, sys
for name in sys.argv[1:]:
    try:
        one = m.distribution(name)
    except m.PackageNotFoundError:
        print(name)
        continue
    # From the list itself: ``files`` leaves out those that are gone, from Python 3.12 on.
    paths = [line.split(",")[0] for line in (one.read_text("RECORD") or "").splitlines()]
    tops = [path for path in paths if path.count("/") == 1 and path.endswith("/__init__.py")]
    if not all(one.locate_file(path).exists() for path in tops):
        print("!" + name)
"""


def missing_packages(venv: Path) -> "list[str]":
    """The packages of the requirements file that the environment lacks; those whose files are gone are marked."""
    names = requirement_names((ROOT / REQUIREMENTS).read_text(encoding="utf-8"))
    done = subprocess.run([str(venv_python(venv)), "-I", "-c", _MISSING, *names], stdout=subprocess.PIPE)
    return done.stdout.decode().split() if done.returncode == 0 else names


def ensure_environment(root: Path) -> Path:
    """Make, repair or reuse ``.venv`` under ``root`` and return its interpreter. Raises SetupError."""
    if not (root / REQUIREMENTS).is_file():
        raise SetupError(f"{root / REQUIREMENTS} is missing: run this from a complete clone of the repository.")
    venv = root / ".venv"
    wanted = wanted_stamp(root)
    state = state_of(venv, wanted)
    if state == "foreign":
        raise SetupError(
            f"{venv} was not made by this command, so it is left alone. Move or rename it and run this again, or use "
            f"an environment of your own: pip install -r {REQUIREMENTS}, then python -m tome_ext or python -m pytest."
        )
    if state == "ready":
        echo("The environment in .venv is ready.")
        return venv_python(venv)
    _check_space(root)
    if state == "broken":
        echo("The environment in .venv is incomplete or damaged; making it anew.")
        _remove(venv)
    if state in ("missing", "broken"):
        _create(venv)
    _install(root, venv)
    (venv / STAMP).write_text(wanted + "\n", encoding="utf-8")
    return venv_python(venv)


def _check_space(root: Path) -> None:
    free = shutil.disk_usage(str(root)).free
    if free < NEEDED_BYTES:
        found, needed = f"{free / 2**30:.1f} GB", f"{NEEDED_BYTES / 2**30:.0f} GB"
        raise SetupError(f"Only {found} are free on the disk that holds {root}; at least {needed} are needed.")


def _remove(venv: Path) -> None:
    try:
        # The stamp goes last: what is left after an interrupt is still known as ours.
        for path in (path for path in venv.iterdir() if path.name != STAMP):
            shutil.rmtree(str(path)) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.rmtree(str(venv))
    except OSError as error:
        raise SetupError(f"{venv} could not be removed: {error}. Remove it and run this again.") from error


def _create(venv: Path) -> None:
    try:
        import ensurepip  # noqa: F401
        import venv as _  # noqa: F401
    except ImportError as error:
        version = "{}.{}".format(*sys.version_info[:2])
        raise SetupError(
            f"This Python lacks the module {error.name}. On Debian and Ubuntu: sudo apt install python{version}-venv"
        ) from error
    echo("Making the environment in .venv with Python {}.{} ...".format(*sys.version_info[:2]))
    # The stamp comes first: an interrupted environment is known as ours.
    venv.mkdir(exist_ok=True)
    (venv / STAMP).write_text(INSTALLING + "\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "venv", str(venv)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        output = done.stdout.decode(errors="replace").strip()
        raise SetupError(f"The environment could not be made. {explain(output)}\n{output}")


def _install(root: Path, venv: Path) -> None:
    text = (root / REQUIREMENTS).read_text(encoding="utf-8")
    stamp = venv / STAMP
    # Left behind by an interrupt or a crash, this word makes the next run start afresh.
    stamp.write_text(INSTALLING + "\n", encoding="utf-8")
    try:
        echo("Installing PyTorch (the largest part; some minutes on a slow line) ...")
        _pip(venv, [torch_requirement(text)])
        echo("Installing the other packages ...")
        _pip(venv, ["-r", str(root / REQUIREMENTS)])
    except SetupError:
        stamp.write_text(INCOMPLETE + "\n", encoding="utf-8")
        raise
    _link(root, venv)
    _check_loading(root, venv)


def _check_loading(root: Path, venv: Path) -> None:
    """Import the large libraries once, so that a missing system library is found here and not later."""
    echo("Checking that they load ...")
    code = "import torch, diffusers, transformers, PIL; print('PyTorch', torch.__version__)"
    command = [str(venv_python(venv)), "-c", code]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=str(root), check=False)
    output = done.stdout.decode(errors="replace").strip()
    if done.returncode:
        raise SetupError(f"The packages are installed but do not load:\n{output}")
    echo(output.splitlines()[-1] + " works.")


def _link(root: Path, venv: Path) -> None:
    """Let the environment's interpreter find the clone from any folder."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([str(venv_python(venv)), "-I", "-c", code], stdout=subprocess.PIPE, check=True)
    folder = Path(done.stdout.decode().strip())
    # In ASCII and escaped: before 3.13, Python on Windows reads these files in the system's own encoding.
    line = f"import os, sys; sys.path.append(os.fsdecode({os.fsencode(str(root))!r}))\n"
    (folder / "sd-webui-tome.pth").write_text(line, encoding="ascii")


def _pip(venv: Path, arguments: "list[str]") -> None:
    """Run pip's install, its progress on the terminal; raise SetupError with an explanation when it fails."""
    options = ["--disable-pip-version-check", "--no-input"]
    command = [str(venv_python(venv)), "-m", "pip", "install", *options, *arguments]
    environment = dict(os.environ, PIP_USER="0", PIP_REQUIRE_VIRTUALENV="0")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    messages = ""
    assert process.stderr is not None
    for raw in process.stderr:
        messages += raw.decode(errors="replace")
        sys.stderr.write(raw.decode(errors="replace"))
        sys.stderr.flush()
    if process.wait():
        raise SetupError(explain(messages) or f"pip failed (status {process.returncode}); its messages stand above.")


def echo(text: str) -> None:
    """Print one line of progress at once, also when the output is not a terminal."""
    print(text, flush=True)
