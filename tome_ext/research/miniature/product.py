"""The product's presets and its refinement on the miniature: the pipeline itself, with the method attached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tome_ext.hosts.diffusers import attach
from tome_ext.research.arms import Arm, settings_for
from tome_ext.research.benchmark import Sampling
from tome_ext.research.makers import check_reports
from tome_ext.research.miniature.sampling import noise
from tome_ext.research.miniature.world.drawing import Array
from tome_ext.research.world.prompts import Prompt
from tome_ext.settings import preset

_WHOLE = preset("balanced").replace(resolution=1.0, related_weight=1.0)  # the miniature's maps are small enough
_BARE = _WHOLE.replace(ets="off")
REFINED: Sequence[Arm] = (
    Arm("balanced", preset("balanced")),
    Arm("balanced, full resolution", _WHOLE),
    Arm("balanced, full resolution, no ETS", _BARE),
    Arm("no ETS, 5 updates of 0.1", _BARE.replace(iterations=5)),
    Arm("no ETS, 5 updates of 0.3", _BARE.replace(iterations=5, step_size=0.3)),
    Arm("no ETS, 10 updates of 0.3, half the run", _BARE.replace(iterations=10, step_size=0.3, window_stop=0.5)),
    Arm("no ETS, 5 updates of 0.3, entropy alone", _BARE.replace(iterations=5, step_size=0.3, binding_weight=0.0)),
    Arm("no ETS, 5 updates of 0.3, binding alone", _BARE.replace(iterations=5, step_size=0.3, entropy_weight=0.0)),
    Arm("no ETS, 5 updates of 0.3, position", _BARE.replace(iterations=5, step_size=0.3, position_weight=0.2)),
    Arm(
        "unmerged, 5 updates of 0.3, entropy alone",
        _BARE.replace(iterations=5, step_size=0.3, binding_weight=0.0),
        unmerged=True,
    ),
    Arm("paper", preset("paper")),
    Arm("reference", preset("reference")),
    Arm("reference-attributes", preset("reference-attributes")),
)


def sample(pipe: Any, arm: Arm, prompt: Prompt, seeds: Sequence[int], sampling: Sampling) -> list[Array]:
    """One picture of ``prompt`` per seed, by the pipeline's own call."""
    texts = [prompt.text] * len(seeds)
    assert arm.settings is not None
    pipe.set_progress_bar_config(disable=True)
    latents = torch.cat([noise(pipe, seed) for seed in seeds])
    height, width = (side * pipe.vae_scale_factor for side in latents.shape[-2:])
    with attach(pipe, settings_for(arm, prompt), texts) as attached:
        images = pipe(
            prompt=texts,
            num_inference_steps=sampling.steps,
            guidance_scale=sampling.guidance,
            latents=latents,
            height=height,
            width=width,
            output_type="np",
        ).images
    check_reports(arm, prompt, attached.report)
    found: list[Array] = [*(np.asarray(images) * 255).round().astype(np.uint8)]
    return found
