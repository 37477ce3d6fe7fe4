"""Opening the model that ``--model`` names, and its scheduler, device and number format."""

from __future__ import annotations

import json
import os
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tome_ext.cli.console import CommandError, echo, short
from tome_ext.cli.recipe import SCHEDULERS
from tome_ext.settings import cut

if TYPE_CHECKING:
    import torch

# Models that come with the project, by the names that --model and the metadata use.
EMBEDDED = ("shapes", "random-sdxl", "random-sd15")
DEFAULT_MODEL = "shapes"
DTYPES = ("auto", "float32", "float16", "bfloat16")
# What the parts of a pipeline may come from; "stable_diffusion" is diffusers' old name for its safety checker.
_LIBRARIES = (None, "diffusers", "transformers", "stable_diffusion")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def choose_device(asked: str) -> torch.device:
    """The device ``asked`` for; ``auto`` takes CUDA, then MPS, then the CPU. Raises CommandError.

    Under ``accelerate launch`` and ``torchrun``, ``auto`` gives each process of a machine a GPU of its own.
    """
    import torch

    if asked == "auto":
        asked = _fastest()
    try:
        device = torch.device(asked)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise CommandError(f"device {asked!r} cannot be used: {str(error).splitlines()[0]}") from error
    return device


def _fastest() -> str:
    import torch

    if not torch.cuda.is_available():
        return "mps" if torch.backends.mps.is_available() else "cpu"
    rank = os.environ.get("LOCAL_RANK", "")
    return f"cuda:{rank}" if rank else "cuda"


def choose_dtype(asked: str, device: torch.device) -> torch.dtype:
    """The number format ``asked`` for; ``auto`` takes float16 on a GPU and float32 on the CPU."""
    import torch

    if asked == "auto":
        asked = "float32" if device.type == "cpu" else "float16"
    dtype: torch.dtype = getattr(torch, asked)
    return dtype


def quiet_libraries() -> None:
    """Keep the libraries' remarks about themselves off the terminal; their errors still come through."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    # diffusers 0.38 renamed an argument that older versions need.
    warnings.filterwarnings("ignore", message="`torch_dtype` is deprecated")
    from diffusers.utils import logging as diffusers_logging

    diffusers_logging.set_verbosity_error()


def open_pipeline(model: str, device: torch.device, dtype: torch.dtype) -> Any:
    """The pipeline of ``model``: an embedded one, a file of its training, a folder, a hub id or a checkpoint.

    Returns a StableDiffusionXLPipeline or StableDiffusionPipeline on ``device``. Raises CommandError.
    """
    quiet_libraries()
    if model in EMBEDDED:
        return _embedded(model).to(device=device, dtype=dtype)
    path = Path(model).expanduser()
    if not path.exists() and not _HUB_ID.fullmatch(model):
        raise CommandError(f"model {model!r}: there is no such file or folder, and it is not a hub id (OWNER/NAME)")
    try:
        if path.is_file() and _is_shapes(path):
            return _shapes(path).to(device=device, dtype=dtype)
        if path.is_dir():
            _check_folder(path)
        pipe = _checkpoint(path, dtype) if path.is_file() else _folder_or_hub(model, path, dtype)
    except CommandError:
        raise
    except Exception as error:  # a broken file makes the libraries raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CommandError(f"model {model!r} cannot be opened: {cut(reason)}") from error
    if not type(pipe).__name__.startswith(("StableDiffusionXLPipeline", "StableDiffusionPipeline")):
        raise CommandError(f"model {model!r} is a {type(pipe).__name__}; Stable Diffusion 1.5, 2 and XL are known")
    return pipe.to(device)


def _embedded(model: str) -> Any:
    if model == "shapes":
        from tome_ext.embedded.shapes_file import shapes_pipeline

        echo(
            "This is the small model that comes with the project. It knows coloured shapes and what they wear "
            "(docs/EVIDENCE.md); give --model a Stable Diffusion 1.5, 2 or XL model for everything else."
        )
        return shapes_pipeline()
    from tome_ext.embedded.random_model import random_pipeline, random_pipeline_sd15

    echo("This is a small network with random weights. It shows that everything runs; its pictures are coloured noise.")
    return {"random-sdxl": random_pipeline, "random-sd15": random_pipeline_sd15}[model]()


def _shapes(path: Path) -> Any:
    from tome_ext.embedded.shapes_file import read_model

    return read_model(path)


def _check_folder(path: Path) -> None:
    """CommandError for a folder whose parts are not all classes of diffusers and transformers: those could run code."""
    index = json.loads((path / "model_index.json").read_text(encoding="utf-8"))
    if not isinstance(index, dict) or not isinstance(index.get("_class_name"), str):
        raise CommandError(f"model {str(path)!r}: its model_index.json does not name a pipeline")
    for name, part in index.items():
        library = part[0] if isinstance(part, list) and len(part) == 2 else None
        if not name.startswith("_") and isinstance(part, list) and library not in _LIBRARIES:
            raise CommandError(
                f"model {str(path)!r}: its part {short(name)} is {short(part)}; only classes of diffusers and "
                "transformers are loaded, others can run code"
            )


def _folder_or_hub(model: str, path: Path, dtype: torch.dtype) -> Any:
    import torch
    from diffusers import DiffusionPipeline

    options: dict[str, Any] = {"torch_dtype": dtype, "use_safetensors": True, "local_files_only": path.exists()}
    if dtype != torch.float32:
        try:
            return DiffusionPipeline.from_pretrained(str(path) if path.exists() else model, variant="fp16", **options)
        except (OSError, ValueError):  # no half-precision files: the full ones are converted on loading
            pass
    return DiffusionPipeline.from_pretrained(str(path) if path.exists() else model, **options)


def _is_shapes(path: Path) -> bool:
    """Whether it is a file of the embedded model's training."""
    if path.suffix != ".safetensors":
        return False
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        return "scaling" in (file.metadata() or {})


def _checkpoint(path: Path, dtype: torch.dtype) -> Any:
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
    from safetensors import safe_open

    if path.suffix != ".safetensors":
        raise CommandError(f"model {str(path)!r}: only .safetensors checkpoints are opened; others can run code")
    with safe_open(str(path), framework="pt") as file:
        is_sdxl = any(name.startswith("conditioner.embedders.1.") for name in file.keys())  # noqa: SIM118
    kind = StableDiffusionXLPipeline if is_sdxl else StableDiffusionPipeline
    return kind.from_single_file(str(path), torch_dtype=dtype)


def set_scheduler(pipe: Any, name: str) -> None:
    """Replace the pipeline's scheduler by the one called ``name``, with the model's own configuration."""
    import diffusers

    if SCHEDULERS[name]:
        pipe.scheduler = getattr(diffusers, SCHEDULERS[name]).from_config(pipe.scheduler.config)


def model_name(model: str) -> str:
    """What the metadata calls the model: a hub id or embedded name as it is, of a path only the last part."""
    return Path(model).expanduser().resolve().name if Path(model).expanduser().exists() else model
