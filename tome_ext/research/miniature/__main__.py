"""Train the miniature with one command: ``python -m tome_ext.research.miniature FOLDER``; run again to go on."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from tome_ext.research.miniature.training.autoencoder import AutoencoderPlan, train_autoencoder
from tome_ext.research.miniature.training.bank import SHARD, read_shards, write_shards
from tome_ext.research.miniature.training.contrastive import ContrastivePlan, train_encoders
from tome_ext.research.miniature.training.diffusion import DiffusionPlan, train_diffusion
from tome_ext.research.miniature.training.weights import write_model
from tome_ext.research.miniature.world.captions import FAULTS


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(prog="python -m tome_ext.research.miniature", description=__doc__)
    parser.add_argument("folder", type=Path, help="autoencoder, encoders and bank, shared by all UNets made there")
    parser.add_argument("--name", default="unet", help="of the UNet's own folder, and of the finished model's file")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; 0: PyTorch's own choice")
    parser.add_argument("--autoencoder-steps", type=int, default=AutoencoderPlan.steps)
    parser.add_argument("--encoder-steps", type=int, default=ContrastivePlan.steps)
    parser.add_argument("--shards", type=int, default=6, help=f"of {SHARD} sets of things each; more can follow")
    parser.add_argument("--exchanged", type=float, default=FAULTS.exchanged, help="share of exchanged colours")
    parser.add_argument("--steps", type=int, default=DiffusionPlan.steps)
    parser.add_argument("--batch", type=int, default=DiffusionPlan.batch)
    parser.add_argument("--rate", type=float, default=DiffusionPlan.rate)
    parser.add_argument("--pooled-missing", type=float, default=0.0, help="share of texts without the pooled vector")
    parser.add_argument("--save-every", type=int, default=DiffusionPlan.save_every)
    parser.add_argument("--minutes", type=float, default=0.0, help="stop the UNet's training after as many")
    parser.add_argument("--start", type=Path, help="checkpoint of another training, to begin with its weights")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the UNet's pictures and noise; another one goes on better"
    )
    parser.add_argument("--compile", action="store_true", help="compile the UNet; worth it beyond some 2000 steps")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Autoencoder, encoders, bank and UNet, each resumed where it stopped; then the model's one file."""
    given = parse(argv)
    if given.threads:
        torch.set_num_threads(given.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    device = torch.device(given.device)
    seen = AutoencoderPlan(steps=given.autoencoder_steps)
    vae = train_autoencoder(given.folder, seen, device)
    told = ContrastivePlan(steps=given.encoder_steps)
    encoders = train_encoders(given.folder, told, device)
    for encoder in encoders:
        encoder.to(device)
    faults = replace(FAULTS, exchanged=given.exchanged)
    bank = read_shards(write_shards(given.folder / "bank", vae, encoders, given.shards, faults, 0))
    names = ("steps", "batch", "rate", "compile", "save_every", "minutes", "pooled_missing", "seed")
    plan = DiffusionPlan(**{name: getattr(given, name) for name in names})
    unet = train_diffusion(given.folder / given.name, bank, plan, device, given.start)
    plans: dict[str, Any] = {"autoencoder": seen, "encoders": told, "captions": faults, "diffusion": plan}
    recipe = {name: asdict(each) for name, each in plans.items()} | {"shards": given.shards}
    path = given.folder / f"{given.name}.safetensors"
    write_model(path, vae.cpu(), *(encoder.cpu() for encoder in encoders), unet, recipe=json.dumps(recipe))
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
