"""What the UNet learns from, made once: encoded pictures, and encodings of their captions by the frozen encoders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tome_ext.research.files import replacing
from tome_ext.research.miniature.training.autoencoder import as_input
from tome_ext.research.miniature.training.text import encode_words
from tome_ext.research.miniature.world.captions import Faults, caption
from tome_ext.research.miniature.world.drawing import render_batch
from tome_ext.research.miniature.world.things import Picture, random_picture, random_places

SHARD = 4096
_DRAWN, _TOLD = 2, 2  # how often the same things are drawn and told
_BATCH = 128


@dataclass(frozen=True)
class Bank:
    """For N sets of things: latents [N, 2, 4, h, w], contexts [N, 2, 77, D] and pooled vectors [N, 2, P], all half.

    Any of a set's latents goes with any of its texts.
    """

    latents: Tensor
    contexts: Tensor
    pooled: Tensor

    def __len__(self) -> int:
        """How many sets there are."""
        return len(self.latents)


def write_shards(folder: Path, vae: Any, encoders: Sequence[Any], count: int, faults: Faults, seed: int) -> list[Path]:
    """Make the ``count`` shards that ``folder`` lacks; returns the paths of all.

    Their names tell the models and the faults: after more training, or with other captions, others are made.
    """
    name = f"{_fingerprint(vae, *encoders)}-{_told(faults)}-{seed}"
    paths = [folder / f"bank-{name}-{number:03d}.safetensors" for number in range(count)]
    for number, path in enumerate(paths):
        if path.exists():
            continue
        with replacing(path) as partial:
            save_file(make_shard(vae, encoders, faults, (seed, 31, number)), str(partial))
        print(f"bank {number + 1}/{count}", flush=True)
    return paths


def read_shards(paths: Sequence[Path]) -> Bank:
    """All shards as one."""
    parts = [load_file(str(path)) for path in paths]
    return Bank(*(torch.cat([part[name] for part in parts]) for name in ("latents", "contexts", "pooled")))


def make_shard(
    vae: Any, encoders: Sequence[Any], faults: Faults, seed: tuple[int, ...], size: int = SHARD
) -> dict[str, Tensor]:
    """One shard's tensors; see :class:`Bank`."""
    rng = np.random.default_rng(seed)
    sets = [random_picture(rng).things for _ in range(size)]
    drawn = [Picture(things, random_places(rng, len(things))) for things in sets for _ in range(_DRAWN)]
    told = [caption(things, rng, faults) for things in sets for _ in range(_TOLD)]
    latents, contexts, pooled = [], [], []
    for start in range(0, len(drawn), _BATCH):
        latents.append(_encode(vae, drawn[start : start + _BATCH], rng))
    for start in range(0, len(told), _BATCH):
        context, vectors = encode_words(encoders, told[start : start + _BATCH])
        contexts.append(context.half().cpu())
        pooled.append(vectors.half().cpu())
    joined = {"latents": latents, "contexts": contexts, "pooled": pooled}
    whole = {name: torch.cat(parts) for name, parts in joined.items()}
    return {
        name: value.reshape(size, len(value) // size, *value.shape[1:]).contiguous() for name, value in whole.items()
    }


@torch.no_grad()
def _encode(vae: Any, drawn: Sequence[Picture], rng: np.random.Generator) -> Tensor:
    device = next(vae.parameters()).device
    images = as_input(render_batch(drawn, rng)).to(device)
    found: Tensor = (vae.encode(images).latent_dist.mean * vae.config.scaling_factor).half().cpu()
    return found


def _fingerprint(*models: Any) -> str:
    digest = hashlib.sha256(str(models[0].config.scaling_factor).encode())
    for one in models:
        for value in one.state_dict().values():
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]


def _told(faults: Faults) -> str:
    return hashlib.sha256(json.dumps(asdict(faults), sort_keys=True).encode()).hexdigest()[:6]
