"""What the WebUI can do, one feature a line: how it is asked for, and what must come of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.hosts.webui.running.server import CHECKPOINTS, HOST, PLAIN, Images, Server

SAMPLERS = (
    "DPM++ 2M",
    "DPM++ SDE",
    "DPM++ 2M SDE",
    "DPM++ 2M SDE Heun",
    "DPM++ 2S a",
    "DPM++ 3M SDE",
    "Euler a",
    "Euler",
    "LMS",
    "Heun",
    "DPM2",
    "DPM2 a",
    "DPM fast",
    "DPM adaptive",
    "Restart",
    "DDIM",
    "DDIM CFG++",
    "PLMS",
    "UniPC",
    "LCM",
    "DDPM",
    "HeunPP2",
    "IPNDM",
    "IPNDM_V",
    "DEIS",
    "Euler A2",
    "Euler Dy",
    "Euler SMEA Dy",
    "Euler Negative",
    "Euler Negative Dy",
    "ER SDE",
    "Res Multistep",
    "Kohaku LoNyu Yog",
    "DPM++ 2M CFG++",
    "Euler a CFG++",
    "Euler CFG++",
)
LONG = ", ".join(["best quality"] * 35) + ", a red cat and a blue dog"
HIRES = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent", "denoising_strength": 0.6}


@dataclass(frozen=True)
class Feature:
    """``asks``: the request beside the usual one. ``comment``: part of the one line under the image."""

    name: str
    asks: dict[str, Any] = field(default_factory=dict)
    tome: dict[str, Any] = field(default_factory=dict)
    checkpoint: str = "sdxl"
    flags: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    prepare: Callable[[Server], dict[str, Any]] | None = None
    merges: bool = True
    refines: bool = True
    comment: str = ""
    hosts: tuple[str, ...] = ("a1111", "forge", "reforge", "neo")

    def missing(self, server: Server) -> str:
        """What the host lacks for this feature."""
        checkpoints = [name for name in self.needs if not server.has(name)]
        options = [name for name in self.options if name not in server.known_options]
        sampler = self.asks.get("sampler_name", "Euler")
        samplers = [] if sampler in server.samplers else [sampler]
        return ", ".join([*checkpoints, *options, *samplers])

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.checkpoint, *self.also)

    def request(self, server: Server) -> dict[str, Any]:
        return {**self.asks, **(self.prepare(server) if self.prepare else {})}


def _from_image(server: Server) -> dict[str, Any]:
    return {"tab": "img2img", "init_images": [server.make(seed=9).encoded[0]], "denoising_strength": 0.7}


def _masked(server: Server) -> dict[str, Any]:
    import base64
    import io

    from PIL import Image

    width, height = PLAIN["width"], PLAIN["height"]
    mask = Image.new("L", (width, height))
    mask.paste(255, (width // 4, height // 4, width * 3 // 4, height * 3 // 4))
    file = io.BytesIO()
    mask.save(file, "png")
    return {**_from_image(server), "mask": base64.b64encode(file.getvalue()).decode(), "inpainting_fill": 1}


# An image at denoising strength 0.7 begins with less noise than the default window has.
LATE = {"window_stop": 0.6}

ALL = (
    Feature("txt2img, SDXL"),
    Feature("preset paper", tome={"preset": "paper"}),
    Feature("preset reference", tome={"preset": "reference"}),
    Feature("own phrase trajectory", tome={"phrase_latent": "own"}),
    Feature("latent step", tome={"latent_step": 0.5}),
    Feature("pooled vector of the clean prompt", tome={"pooled": "clean"}),
    Feature("no pooled vector in the losses", tome={"loss_pooled": "zeros"}),
    Feature("end tokens from half the run on", tome={"ets_start": 0.5}),
    Feature("hand-written groups", tome={"groups": 'cat: blue + "hat"; dog: red'}),
    Feature("checkpointing", tome={"checkpointing": "on"}),
    *(Feature(f"sampler {name}", asks={"sampler_name": name, "steps": PLAIN["steps"]}) for name in SAMPLERS),
    Feature("scheduler Karras", asks={"sampler_name": "DPM++ 2M", "scheduler": "Karras"}),
    Feature("img2img", tome=LATE, prepare=_from_image),
    Feature("img2img, DDIM", asks={"sampler_name": "DDIM"}, tome=LATE, prepare=_from_image),
    Feature("inpainting", tome=LATE, prepare=_masked),
    Feature("hires fix: merge", asks=HIRES),
    Feature("hires fix: refine", asks=HIRES, tome={"hires": "refine"}),
    Feature("hires fix: off", asks=HIRES, tome={"hires": "off"}),
    Feature(
        "hires fix with CFG of its own", asks={**HIRES, "hr_cfg": 4.0}, tome={"hires": "refine"}, hosts=("forge", "neo")
    ),
    Feature("hires fix with a prompt of its own", asks={**HIRES, "hr_prompt": "a green cat and a yellow dog"}),
    Feature("batch of 3", asks={"batch_size": 3}),
    Feature("batch count 2 of 2", asks={"batch_size": 2, "n_iter": 2}),
    Feature("AND", asks={"prompt": "a red cat and a blue dog AND a green bird in a yellow house :0.7"}),
    Feature("prompt editing", asks={"prompt": "a [red:green:0.25] cat and a blue dog"}, tome={"window_stop": 0.6}),
    Feature("alternation", asks={"prompt": "a red cat and a blue [dog|bird]"}, tome={"window_stop": 0.6}),
    Feature("styles", asks={"styles": ["cage"]}),
    Feature("emphasis", asks={"prompt": "a (red:1.3) cat and a [blue] dog, (masterpiece)"}),
    Feature("emphasis: No norm", asks={"prompt": "a (red:1.3) cat and a [blue] dog"}, options={"emphasis": "No norm"}),
    Feature("emphasis: None", asks={"prompt": "a (red) cat and a blue dog"}, options={"emphasis": "None"}),
    Feature("BREAK", asks={"prompt": "a red cat BREAK a blue dog"}),
    Feature("more than 75 tokens", asks={"prompt": LONG}),
    Feature("long prompt, both paddings", asks={"prompt": LONG}, options={"pad_cond_uncond": True}),
    Feature("long prompt, v0 padding", asks={"prompt": LONG}, options={"pad_cond_uncond_v0": True}),
    Feature("LoRA", asks={"prompt": f"a red cat and a blue dog <lora:{CHECKPOINTS['sdxl-lora']}:1>"}),
    Feature("embeddings", asks={"prompt": "a red cat and a blue dog, painterly-x", "negative_prompt": "zqneg"}),
    Feature("CLIP skip", checkpoint="sd15", options={"CLIP_stop_at_last_layers": 2}),
    Feature("CFG 1", asks={"cfg_scale": 1}),
    Feature(
        "CFG 1, preset reference",
        asks={"cfg_scale": 1},
        tome={"preset": "reference"},
        hosts=("forge", "neo"),
        comment="encodes no negative prompt",
    ),
    Feature("skip early CFG", options={"skip_early_cond": 0.3}),
    Feature("negative guidance minimum sigma", asks={"s_min_uncond": 4.0}),
    Feature("cond and uncond one after the other", options={"batch_cond_uncond": False}),
    Feature("token merging (tomesd)", checkpoint="sd15", options={"token_merging_ratio": 0.5}),
    Feature(
        "hypertile",
        checkpoint="sd15",
        asks={"width": 256, "height": 256},
        options={"hypertile_enable_unet": True, "hypertile_max_tile_unet": 128, "hypertile_swap_size_unet": 3},
    ),
    Feature(
        "fp8",
        options={"fp8_storage": "Enable"},
        hosts=("a1111",),
        refines=False,
        comment="merged, not refined: the weights",
    ),
    Feature(
        "refiner", asks={"refiner_switch_at": 0.6, "refiner_checkpoint": CHECKPOINTS["refiner"]}, also=("refiner",)
    ),
    Feature(
        "refiner within the window",
        asks={"refiner_switch_at": 0.3, "refiner_checkpoint": CHECKPOINTS["refiner"]},
        tome={"window_stop": 0.8},
        also=("refiner",),
    ),
    Feature(
        "flow-matching SDXL",
        checkpoint="sdxl-flow",
        asks={"cfg_scale": 2, "scheduler": "Simple"},  # a random model overflows with the host's own noise levels
        hosts=("neo",),
        refines=False,
        comment="merged, not refined: this is a flow-matching model",
    ),
    Feature("SDXL inpainting model", checkpoint="sdxl-inpainting", tome=LATE, prepare=_masked),
    Feature("SD1.5", checkpoint="sd15"),
    Feature(
        "SD1.5, LoRA",
        checkpoint="sd15",
        asks={"prompt": f"a red cat and a blue dog <lora:{CHECKPOINTS['sd15-lora']}:1>"},
    ),
    Feature("SD1.5 in GGUF (Q8_0)", checkpoint="sd15-gguf", hosts=("neo",)),
    Feature(
        "SD1.5, AND, DDIM",
        checkpoint="sd15",
        asks={"prompt": "a red cat AND a blue dog", "sampler_name": "DDIM"},
        tome={"min_objects": 1},
    ),
    Feature("SD1.5 inpainting model", checkpoint="sd15-inpainting", tome=LATE, prepare=_masked),
    Feature("SD2, v-prediction", checkpoint="sd2-v"),
    Feature("SD2, v-prediction, DDIM", checkpoint="sd2-v", asks={"sampler_name": "DDIM"}),
    Feature(
        "nothing to bind",
        asks={"prompt": "something"},
        merges=False,
        refines=False,
        comment="nothing to bind was found",
    ),
    Feature("--medvram", flags="--medvram", hosts=("a1111",)),
    Feature(
        "--medvram, refiner",
        flags="--medvram",
        asks={"refiner_switch_at": 0.5, "refiner_checkpoint": CHECKPOINTS["refiner"]},
        also=("refiner",),
        hosts=("a1111",),
    ),
    Feature("--lowvram", flags="--lowvram", hosts=("a1111",), refines=False, comment="merged, not refined: --lowvram"),
    *(
        Feature(f"attention: {name}", flags=f"--{name}", hosts=("a1111",))
        for name in (
            "opt-sdp-attention",
            "opt-sub-quad-attention",
            "opt-split-attention",
            "disable-opt-split-attention",
        )
    ),
    *(
        Feature(f"attention: {name}", flags=f"--attention-{name}", hosts=("forge", "reforge"))
        for name in ("pytorch", "split", "quad")
    ),
    Feature("attention: pytorch", flags="--use-pytorch-cross-attention", hosts=("neo",)),
    Feature("UNet in bf16", flags="--unet-in-bf16", hosts=("forge", "reforge")),
    Feature("UNet stored in fp8", flags="--unet-in-fp8-e4m3fn", hosts=("forge", "reforge")),
    Feature("UNet in bf16", flags="--bf16-unet", hosts=("neo",)),
    Feature("UNet stored in fp8", flags="--fp8_e4m3fn-unet", hosts=("neo",)),
)
# Those with flags of their own come last: each starts the WebUI again.
FEATURES = tuple(feature for feature in ALL if HOST in feature.hosts)


def row(feature: Feature, plain: Images, made: Images, comments: list[str]) -> str:
    """A line of docs/WEBUI_TESTED.md."""
    count = len(plain.pixels)
    change = np.mean([np.abs(a - b).mean() for a, b in zip(made.pixels, plain.pixels, strict=True)])
    did = "merged and refined" if feature.refines else "merged" if feature.merges else "plain image"
    said = "; ".join(comments).replace("|", r"\|") or "–"
    return f"| {feature.name} | {did} | {change:.1f} | {said} |" if count else ""


def write_table(line: str) -> None:
    """Add a line to the file named by WEBUI_TABLE, where it is set."""
    path = os.environ.get("WEBUI_TABLE")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
