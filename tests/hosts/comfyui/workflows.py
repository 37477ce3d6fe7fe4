"""Workflows for a running ComfyUI, on the embedded model."""

from __future__ import annotations

from typing import Any

from tome_ext.settings import DEFAULT_PRESET

TEXT = "a red circle and a blue square"
OTHER = "a green triangle and a yellow circle"
STEPS, SIZE = 6, 128


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def plain(text: str = TEXT, *, seed: int = 1, batch: int = 1, **sampler: Any) -> dict[str, Any]:
    """A picture without any node of ToMe but the model's loader."""
    return {
        "load": node("ToMe_LoadShapes"),
        "positive": node("CLIPTextEncode", clip=["load", 1], text=text),
        "negative": node("CLIPTextEncode", clip=["load", 1], text=""),
        "latent": node("EmptyLatentImage", width=SIZE, height=SIZE, batch_size=batch),
        "sample": node(
            "KSampler",
            **{
                "model": ["load", 0],
                "positive": ["positive", 0],
                "negative": ["negative", 0],
                "latent_image": ["latent", 0],
                "seed": seed,
                "steps": STEPS,
                "cfg": 4.0,
                "sampler_name": "euler",
                "scheduler": "sgm_uniform",
                "denoise": 1.0,
                **sampler,
            },
        ),
        "decode": node("VAEDecode", samples=["sample", 0], vae=["load", 2]),
        "save": node("SaveImage", images=["decode", 0], filename_prefix="test"),
    }


def refined(text: str = TEXT, *, maps: bool = False, preset: str = "", **more: Any) -> dict[str, Any]:
    """The same with ToMe; "told" shows what was done. Without a ``preset`` it is the default, at every step."""
    graph = plain(text, **more)
    graph["positive"] = node("ToMe_TextEncode", clip=["load", 1], text=text, preset=preset or DEFAULT_PRESET)
    if not preset:
        graph["settings"] = node("ToMe_Settings", preset=DEFAULT_PRESET, every=1)
        graph["positive"]["inputs"]["settings"] = ["settings", 0]
    graph["refine"] = node("ToMe_Refine", model=["load", 0], attention_maps=maps)
    graph["sample"]["inputs"]["model"] = ["refine", 0]
    graph["report"] = node("ToMe_AttentionMaps", report=["refine", 1], images=["decode", 0])
    graph["told"] = node("PreviewAny", source=["report", 1])
    return graph


def steps(told: str) -> int:
    """How many refined steps a report tells of."""
    return len(
        {(line, at) for at, line in enumerate(told.splitlines()) if line.startswith("  step") and "entropy" in line}
    )


def losses(told: str, name: str) -> list[list[float]]:
    """The losses of a report, for each step the objects' values of the first iteration."""
    rows = [line.split(name, 1)[1] for line in told.splitlines() if line.startswith("  step") and f" {name} " in line]
    return [[float(value) for value in row.split(";")[0].split(",")] for row in rows]
