"""Calls of the small random pipelines, with ToMe and without."""

from __future__ import annotations

import numpy as np
import torch

from tome_ext.hosts.diffusers import attach
from tome_ext.settings import preset

TWO = "a cat wearing sunglasses and a dog wearing a hat"
ONE = "a red book on the table"
NONE = "a cat and a dog"
BUILTIN = {"parser": "builtin", "min_objects": 1, "ets": "on"}


def quiet(pipe):
    pipe.set_progress_bar_config(disable=True)
    return pipe


def settings_of(name="balanced", **more):
    return preset(name).replace(**{"every": 1, **BUILTIN, **more})


def make(pipe, prompts, seeds, steps=5, size=(64, 64), **more):
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    height, width = size
    made = pipe(
        prompts, generator=generators, num_inference_steps=steps, height=height, width=width, output_type="np", **more
    )
    return made.images


def bind(pipe, settings, prompts, seeds, attached=None, **more):
    with attach(pipe, settings, prompts, **(attached or {})) as tome:
        images = make(pipe, prompts, seeds, **more)
    return images, tome.report


def hooks(pipe):
    return [m for m in pipe.unet.modules() if m._forward_hooks or m._forward_pre_hooks]


def given(pipe):
    """What each call of the UNet is given in the end: (sample, encoder_hidden_states, added_cond_kwargs)."""
    seen = []

    def look(module, args, kwargs):
        sample = args[0] if args else kwargs["sample"]
        seen.append((sample, kwargs["encoder_hidden_states"], kwargs.get("added_cond_kwargs")))

    return seen, pipe.unet.register_forward_pre_hook(look, with_kwargs=True)


def same(one, two):
    return np.array_equal(one, two)
