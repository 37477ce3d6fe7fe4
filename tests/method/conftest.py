"""The recordings of tests/golden/reference, and a small UNet to refine on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import EulerDiscreteScheduler, UNet2DConditionModel
from safetensors.torch import load_file

from tome_ext.method.merging import Composite
from tome_ext.settings import Settings

GOLDEN = Path(__file__).parents[1] / "golden" / "reference"


@dataclass(frozen=True)
class Recording:
    """One run of the authors' code: its settings and losses, and the tensors that went in and came out."""

    case: dict[str, Any]
    losses: dict[str, Any]
    tensors: dict[str, torch.Tensor]

    @property
    def steps(self) -> list[int]:
        """The steps whose entropy iterations are recorded."""
        return [i for i in range(10) if f"entropy{i}_t" in self.tensors]

    @property
    def positions(self) -> list[int]:
        return [nouns[0] for nouns, _ in self.case["token_indices"]]

    @property
    def text(self) -> tuple[int, ...]:
        return tuple(range(1, self.case["prompt_length"] + 1))

    def composites(self, settings: Settings) -> list[Composite]:
        return [
            Composite(
                nouns[0],
                tuple([(settings.noun_weight, n) for n in nouns] + [(settings.related_weight, a) for a in related]),
            )
            for nouns, related in self.case["token_indices"]
        ]

    def predictor(self, unet, timestep):
        ids = self.tensors["time_ids"][:1]

        def predict(latents, context, images):
            added = {"text_embeds": torch.zeros(len(latents), 64), "time_ids": ids.expand(len(latents), -1)}
            return unet(latents, timestep, context, added_cond_kwargs=added).sample

        return predict


def recording(name: str) -> Recording:
    """A recording; one made from the inputs of another has those as well."""
    facts = json.loads((GOLDEN / f"{name}.json").read_text())
    own = load_file(GOLDEN / f"{name}.safetensors")
    inputs = facts["case"].get("inputs")
    shared = {k: v for k, v in recording(inputs).tensors.items() if "_embeds" in k or "pooled" in k} if inputs else {}
    return Recording(facts["case"], facts, {**shared, **own})


def golden(dtype=torch.float32, factor: float = 1.0) -> UNet2DConditionModel:
    """The recorded UNet; ``factor``: that of its text layers' queries and keys."""
    unet = UNet2DConditionModel.from_pretrained(GOLDEN / "unet", torch_dtype=dtype).eval()
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "attn2.to_q" in name or "attn2.to_k" in name:
                parameter.mul_(factor)
    return unet


@pytest.fixture(scope="session")
def golden_unet():
    return golden()


@pytest.fixture(scope="session")
def exact_unet():
    """As in the recordings in float64: maps that are not flat, so that an update does not magnify roundings."""
    return golden(torch.float64, 4.0)


@pytest.fixture
def euler():
    scheduler = EulerDiscreteScheduler.from_pretrained(GOLDEN / "scheduler")
    scheduler.set_timesteps(10)
    return scheduler


@pytest.fixture(params=["attribute", "object", "object_position"])
def recorded(request):
    return recording(request.param)
