"""Packs host recordings without the padding of their chunks, and unpacks them exactly.

``python tests/golden/compact.py RECORDING`` writes ``prompts.json`` beside this file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

BOS, EOT, SIZE = 49406, 49407, 77
FILE = Path(__file__).with_name("prompts.json")


def pack_chunk(chunk: dict[str, Any]) -> list[Any]:
    """Tokens without start token and padding, then multipliers and fixes where they say anything."""
    tokens, multipliers = chunk["tokens"], chunk["multipliers"]
    end = SIZE
    while end > 1 and tokens[end - 1] == EOT and multipliers[end - 1] == 1.0:
        end -= 1
    packed: list[Any] = [tokens[1:end]]
    if any(m != 1.0 for m in multipliers):
        packed.append({str(k): m for k, m in enumerate(multipliers) if m != 1.0})
    elif chunk["fixes"]:
        packed.append({})
    if chunk["fixes"]:
        packed.append(chunk["fixes"])
    return packed


def unpack_chunk(packed: list[Any]) -> dict[str, Any]:
    tokens = [BOS, *packed[0]]
    multipliers = [1.0] * SIZE
    for k, m in (packed[1] if len(packed) > 1 else {}).items():
        multipliers[int(k)] = m
    fixes = packed[2] if len(packed) > 2 else []
    return {"tokens": tokens + [EOT] * (SIZE - len(tokens)), "multipliers": multipliers, "fixes": fixes}


def _convert(data: dict[str, Any], convert: Any) -> dict[str, Any]:
    out: dict[str, Any] = json.loads(json.dumps(data))
    for prompt in out["prompts"]:
        prompt["chunks"] = [convert(c) for c in prompt["chunks"]]
    for schedule in out["schedules"]:
        for part in schedule["subprompts"]:
            for variant in part["schedule"]:
                variant["chunks"] = [convert(c) for c in variant["chunks"]]
    return out


def load() -> dict[str, Any]:
    """The recording as it was made."""
    return _convert(json.loads(FILE.read_text(encoding="utf-8")), unpack_chunk)


def main(recording: str) -> None:
    data = json.loads(Path(recording).read_text(encoding="utf-8"))
    packed = _convert(data, pack_chunk)
    rows = {"host": json.dumps(packed["host"]), "prompts": "", "schedules": ""}
    for key in ("prompts", "schedules"):
        lines = (json.dumps(x, ensure_ascii=False, separators=(",", ":")) for x in packed[key])
        rows[key] = "[\n" + ",\n".join(lines) + "\n]"
    text = "{" + ",\n".join(f'"{k}": {v}' for k, v in rows.items()) + "}\n"
    FILE.write_text(text, encoding="utf-8")
    if load() != data:
        raise SystemExit("the packed recording does not unpack to the original")


if __name__ == "__main__":
    main(sys.argv[1])
