"""From a fresh clone to a picture, or to passing tests: ``python3 -m tome_ext.quickstart demo`` or ``test``.

Makes ``.venv`` at the repository's root, or repairs or reuses it, installs the pinned packages and runs.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tome_ext.environment import ROOT, SetupError, check_python, echo, ensure_environment, explain

DEMO_PROMPT = "a green moon and a blue square"
# Each loads PyTorch for itself.
_MOST_PROCESSES = 4


def demo(python: Path, root: Path, extra: "list[str]") -> int:
    """Run the main job once, plain and with ToMe side by side; the exit status is the command's."""
    echo(f"Making a picture: {DEMO_PROMPT}")
    arguments = extra or [DEMO_PROMPT, "--compare", "--seed", "0"]
    return subprocess.run(
        [str(python), "-m", "tome_ext", "generate", *arguments], cwd=str(root), check=False
    ).returncode


def test(python: Path, root: Path, extra: "list[str]") -> int:
    """Run ruff, mypy and pytest, pytest last; the exit status is 0 only when all three pass."""
    failed = 0
    for name, arguments in (
        ("ruff check", ["ruff", "check", "."]),
        ("ruff format", ["ruff", "format", "--check", "."]),
        ("mypy", ["mypy"]),
    ):
        echo(f"{name} ...")
        if subprocess.run([str(python), "-m", *arguments], cwd=str(root), check=False).returncode:
            echo(f"{name} found problems: they are listed above, and this run counts as failed.")
            failed = 1
    echo("pytest ...")
    status = subprocess.run([str(python), "-m", "pytest", *_processes(), *extra], cwd=str(root), check=False).returncode
    return status or failed


def _processes() -> "list[str]":
    """Pytest's arguments for several processes; for one where a running host is asked, one test after the other."""
    if os.environ.get("WEBUI_DIR") or os.environ.get("COMFYUI_DIR"):
        return []
    return ["-n", str(min(os.cpu_count() or 1, _MOST_PROCESSES)), "--dist", "worksteal"]


def main(argv: "list[str]") -> int:
    """Run one of the two commands; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tome_ext.quickstart",
        description="Make the environment in .venv, or reuse it, and run the demonstration or the tests.",
        epilog="Arguments after -- go to the demonstration's `generate` command, or to pytest.",
    )
    parser.add_argument("command", choices=("demo", "test"), help="make a picture, or run ruff, mypy and pytest")
    parser.add_argument("extra", nargs="*", metavar="-- ...", help="further arguments")
    arguments = parser.parse_args(argv)
    try:
        check_python(sys.version_info[:3])
        python = ensure_environment(ROOT)
        return {"demo": demo, "test": test}[arguments.command](python, ROOT, arguments.extra)
    except SetupError as error:
        print(f"\nThis did not work: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"\nThis did not work: {explain(str(error)) or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again to go on.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
