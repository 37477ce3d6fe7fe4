"""The files of a run's folder: whole or not there, read with an error that names them, and locked while in use."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tome_ext.hosts.common.files import replacing, write_text

__all__ = ["lock", "read_json", "replacing", "write_text"]


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; ValueError that names the file where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it and run this again") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} is damaged (it holds no JSON object): delete it and run this again")
    return found


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the file ``path`` for this process alone; ValueError where another process holds it.

    The operating system releases it with the process, however that ends. Where the file system has no locks, nothing
    is held.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        _acquire(file, path)
        yield


def _acquire(file: IO[bytes], path: Path) -> None:
    busy = ValueError(
        f"another process is at work in {path.parent}: wait for it, name another folder, or share the work with "
        "`accelerate launch`"
    )
    if os.name == "nt":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError as error:
            raise busy from error
        return
    import fcntl

    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise busy from error
    except OSError:  # no locks on this file system
        return
