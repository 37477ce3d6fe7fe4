"""Scenes and their encoded pictures, in files of 4096: made once, by several processes, and read by the training."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tome_ext.research.files import replacing
from tome_ext.research.world.drawing import render_batch
from tome_ext.research.world.scenes import (
    BACKGROUNDS,
    COLOURS,
    SHAPES,
    TEXTURES,
    WORN,
    Place,
    Scene,
    Thing,
    random_scene,
)

SHARD = 4096
_BATCH = 64
_Job = tuple[tuple[int, ...], int, int]
_Rendered = tuple[list[Scene], "np.ndarray[Any, Any]"]
_Map = Callable[[Callable[[_Job], _Rendered], Iterable[_Job]], Iterable[_Rendered]]


@dataclass(frozen=True)
class Shard:
    """Latents [N, 4, h, w] of half precision, already scaled, and what is in each: see :func:`pack`."""

    latents: Tensor
    things: Tensor


def pack(scene: Scene) -> list[list[int]]:
    """A scene's things and background as numbers [3, 5]: shape, colour, texture, worn, background; −1 for none."""
    background = tuple(BACKGROUNDS).index(scene.background)
    rows = [
        [
            SHAPES.index(thing.shape),
            tuple(COLOURS).index(thing.colour),
            TEXTURES.index(thing.texture),
            WORN.index(thing.worn) if thing.worn else -1,
            background,
        ]
        for thing in scene.things
    ]
    return rows + [[-1, -1, -1, -1, background]] * (3 - len(rows))


def unpack(rows: Sequence[Sequence[int]]) -> Scene:
    """The scene of :func:`pack`, but for its places, which captions do not tell."""
    things = tuple(
        Thing(SHAPES[shape], tuple(COLOURS)[colour], TEXTURES[texture], WORN[worn] if worn >= 0 else "")
        for shape, colour, texture, worn, _ in rows
        if shape >= 0
    )
    return Scene(things, (Place(0, 0, 0),) * len(things), tuple(BACKGROUNDS)[rows[0][4]])


def write_shards(folder: Path, vae: Any, count: int, seed: int, *, size: int = SHARD, workers: int = 1) -> list[Path]:
    """Make the ``count`` shards that ``folder`` lacks; half-written ones are made again. Returns all their paths.

    Their names tell the autoencoder: after more of its training, others are made.
    """
    name = f"{_fingerprint(vae)}-{seed}"
    paths = [folder / f"latents-{name}-{number:04d}.safetensors" for number in range(count)]
    with _mapping(workers) as spread:
        for number, path in enumerate(paths):
            if path.exists():
                continue
            shard = _make(vae, (seed, 2, number), size, spread)
            with replacing(path) as partial:
                save_file({"latents": shard.latents, "things": shard.things}, str(partial))
            print(f"latents {number + 1}/{count}", flush=True)
    return paths


def _fingerprint(vae: Any) -> str:
    digest = hashlib.sha256(str(vae.config.scaling_factor).encode())
    for value in vae.state_dict().values():
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]


def read_shards(paths: Sequence[Path]) -> Shard:
    """All shards as one."""
    parts = [load_file(str(path)) for path in paths]
    return Shard(torch.cat([part["latents"] for part in parts]), torch.cat([part["things"] for part in parts]))


@torch.no_grad()
def _make(vae: Any, seed: tuple[int, ...], size: int, spread: _Map) -> Shard:
    device = next(vae.parameters()).device
    scale = vae.config.scaling_factor
    latents, things = [], []
    jobs = [(seed, start, min(_BATCH, size - start)) for start in range(0, size, _BATCH)]
    for scenes, pictures in spread(_render, jobs):
        images = torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.autocast(device.type, torch.bfloat16):
            mean = vae.encode(images).latent_dist.mean
        latents.append((mean.float() * scale).half().cpu().contiguous())
        things += [pack(scene) for scene in scenes]
    return Shard(torch.cat(latents), torch.tensor(things, dtype=torch.int8))


@contextmanager
def _mapping(workers: int) -> Iterator[_Map]:
    """``map``, over as many processes."""
    if workers <= 1:
        yield map
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield pool.map


def _render(job: _Job) -> _Rendered:
    seed, start, count = job
    rng = np.random.default_rng((*seed, start))
    scenes = [random_scene(rng) for _ in range(count)]
    return scenes, render_batch(scenes, rng)
