"""Checkpoints of a training: weights and optimizer state as safetensors, replaced in one move, so none is ever half."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tome_ext.research.files import replacing


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stands: the steps done, its tensors by name, and what else it noted."""

    step: int
    tensors: dict[str, Tensor]
    notes: dict[str, Any]

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names begin with ``name.``, without that beginning."""
        return {key[len(name) + 1 :]: value for key, value in self.tensors.items() if key.startswith(name + ".")}


def save(path: Path, step: int, parts: Mapping[str, Mapping[str, Tensor]], notes: Mapping[str, Any]) -> None:
    """Write a checkpoint; an older one at ``path`` is replaced only by a complete file."""
    tensors = {
        f"{part}.{name}": value.detach().cpu().contiguous()
        for part, named in parts.items()
        for name, value in named.items()
    }
    with replacing(path) as partial:
        save_file(tensors, str(partial), metadata={"training": json.dumps({"step": step, "notes": dict(notes)})})


def load(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None where there is none yet."""
    if not path.exists():
        return None
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        told = json.loads(file.metadata()["training"])
    return Checkpoint(told["step"], load_file(str(path)), told["notes"])


def same_plan(path: Path, found: Checkpoint | None, plan: Any, later: Collection[str] = ()) -> None:
    """ValueError where the checkpoint ``found`` at ``path`` is of another plan; what ``later`` names may change."""
    if found is None:
        return
    held = found.notes.get("plan", {})
    own = {name: value for name, value in asdict(plan).items() if name not in later}
    other = [f"{name} {held.get(name)!r}, not {value!r}" for name, value in own.items() if held.get(name) != value]
    if other:
        raise ValueError(f"{path} was begun with {'; '.join(other)}: name another folder")


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as named tensors."""
    states = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value) for index, state in states.items() for name, value in state.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what :func:`optimizer_tensors` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


class Average:
    """An exponential moving average of a module's parameters, shorter at the beginning."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the parameters after ``step`` steps."""
        rate = 1 - min(self.decay, (1 + step) / (10 + step))
        names, values = zip(*module.named_parameters(), strict=True)
        torch._foreach_lerp_([self.values[name] for name in names], list(values), rate)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back saved values."""
        for name, value in self.values.items():
            value.copy_(tensors[name])
