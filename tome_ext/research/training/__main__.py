"""Train the embedded model with one command: ``python -m tome_ext.research.training FOLDER``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from tome_ext.research.training.autoencoder import AutoencoderPlan, mean_error, train_autoencoder
from tome_ext.research.training.diffusion import DiffusionPlan, train_diffusion
from tome_ext.research.training.latents import SHARD, read_shards, write_shards
from tome_ext.research.world.captions import vocabulary


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(prog="python -m tome_ext.research.training", description=__doc__)
    parser.add_argument("folder", type=Path, help="checkpoints, latents and the finished model; run again to go on")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; 0: PyTorch's own choice")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw scenes and prepare batches")
    parser.add_argument("--autoencoder-steps", type=int, default=AutoencoderPlan.steps)
    parser.add_argument("--shards", type=int, default=16, help=f"of {SHARD} encoded scenes each")
    parser.add_argument("--steps", type=int, default=DiffusionPlan.steps)
    parser.add_argument("--batch", type=int, default=DiffusionPlan.batch)
    parser.add_argument("--rate", type=float, default=DiffusionPlan.rate)
    parser.add_argument("--save-every", type=int, default=DiffusionPlan.save_every)
    parser.add_argument("--compile", action="store_true", help="compile the UNet; worth it beyond some 2000 steps")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Autoencoder, latents, text encoders and UNet, each resumed where it stopped; then the model's one file."""
    from tome_ext.embedded.shapes_file import write_model

    given = parse(argv)
    if given.threads:
        torch.set_num_threads(given.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    device = torch.device(given.device)
    plan = AutoencoderPlan(seed=given.seed, steps=given.autoencoder_steps)
    vae = train_autoencoder(given.folder, plan, device)
    error = mean_error(vae)
    print(f"autoencoder: scaling {vae.config.scaling_factor}, mean error {error:.2f} of 255", flush=True)
    shards = write_shards(given.folder / "latents", vae, given.shards, given.seed, workers=given.workers)
    diffusion = DiffusionPlan(
        seed=given.seed,
        steps=given.steps,
        batch=given.batch,
        rate=given.rate,
        compile=given.compile,
        workers=given.workers,
        save_every=given.save_every,
    )
    model = train_diffusion(given.folder, read_shards(shards), diffusion, device)
    told = {"autoencoder": asdict(plan), "diffusion": asdict(diffusion), "shards": given.shards, "error": error}
    parts = (vae, model.text_encoder, model.text_encoder_2, model.unet)
    path = given.folder / "shapes.safetensors"
    write_model(path, *(part.cpu().float() for part in parts), words=vocabulary(), recipe=json.dumps(told))
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
