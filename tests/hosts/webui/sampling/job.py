"""A job on the stand-ins: what the WebUI does around our callbacks, in its order."""

from __future__ import annotations

import itertools
import types
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from tests.hosts.webui.sampling import standins
from tome_ext.settings import Settings, preset


def noise_levels(count: int) -> Tensor:
    """The noise levels of Stable Diffusion at even places of its schedule, the strongest first."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    kept = (1 - betas).cumprod(0)
    levels = ((1 - kept) / kept).sqrt().log()
    steps = 999 * (1 - torch.arange(count, dtype=torch.float64) / count)
    low = steps.floor().long().clamp(max=998)
    return (levels[low] + (steps - low) * (levels[low + 1] - levels[low])).exp().float()


def gentle(name: str = "balanced", **more: Any) -> Settings:
    """A preset with steps that suit a random UNet."""
    gentle = {"every": 1, "step_size": 0.01, "binding_weight": 10.0, "min_objects": 1, "ets": "on"}
    return preset(name).replace(**{**gentle, **more})


@dataclass
class Options:
    settings: Settings = field(default_factory=gentle)
    hires: str = "merge"
    show_maps: bool = False


ENTRIES = {"ToMe": "balanced", "ToMe version": "0"}


class Processing:
    """The host's ``p``."""

    def __init__(self, prompts: list[str], *, steps: int = 10, seeds: list[int] | None = None) -> None:
        self.prompts = self.hr_prompts = prompts
        self.batch_size, self.iteration = len(prompts), 0
        self.steps = self.firstpass_steps = steps
        self.seeds = seeds or list(range(1, 1 + len(prompts)))
        self.width = self.height = 64
        self.hr_upscale_to_x = self.hr_upscale_to_y = 96
        self.hr_second_pass_steps, self.hr_sampler_name, self.sampler_name = 0, None, "Euler"
        self.comments: dict[str, int] = {}
        self.extra_generation_params: dict[str, Any] = {}
        self.is_hr_pass = False

    def comment(self, text: str) -> None:
        self.comments[text] = 1


class Host:
    """The stand-in WebUI: a model, its modules, and a sampler."""

    def __init__(self, model: standins.Model, fakes: dict[str, Any]) -> None:
        self.model, self.fakes = model, fakes

    def condition(self, p: Processing, model: standins.Model | None = None) -> tuple[Any, Any]:
        model = model or self.model
        size = {"width": p.width, "height": p.height}
        cond = standins.encoded(model, standins.SdConditioning(p.prompts, False, **size), p.steps)
        uncond = standins.encoded(model, standins.SdConditioning([""] * p.batch_size, True, **size), p.steps)
        return cond, uncond

    def run(
        self,
        p: Processing,
        options: Options | None = None,
        *,
        timesteps: bool = False,
        cond: Any = None,
        scale: float = 4.0,
        at: Any = None,
        job: Any = None,
        last: bool = True,
        told: bool = True,
        batch: Any = None,
    ) -> Run:
        """Sample a batch; ``at(denoiser)`` is called before each model call.

        ``job``: that of the batches before, or of the first pass; ``last``: whether no more follow. ``told``: whether
        the callback before sampling is called, as it is but by some scripts of the host. ``batch``: what each image
        is asked to have.
        """
        from tome_ext.hosts.webui.sampling import job as generation

        if job is None and options is not None:
            job = generation.start(p, options, ENTRIES)
            p.extra_generation_params.update(ENTRIES)
        if job is not None and (options is not None or not p.is_hr_pass):
            job.before_batch(p, batch)
        cond, uncond = cond or self.condition(p)
        noise = torch.stack([torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(s)) for s in p.seeds])
        if job is not None and told:
            generation.job_of(p).before_sampling(p, cond)
        callbacks = types.SimpleNamespace(denoise=generation.on_denoise, denoised=generation.on_denoised)
        denoiser = standins.Denoiser(p, self.model, timesteps, callbacks)
        denoiser.total_steps = p.steps
        extra = {"cond": cond, "uncond": uncond, "cond_scale": scale}
        denoiser.sampler.sampler_extra_args = extra
        with torch.no_grad():
            latent = (timestep_euler if timesteps else euler)(denoiser, noise, at)
        assert latent.isfinite().all()
        images = [picture(one) for one in latent]
        processed = types.SimpleNamespace(
            images=images,
            infotexts=[f"image {number}" for number in range(len(images))],
            info="image 0",
            comments="".join(f"{comment}\n" for comment in p.comments),
            index_of_first_image=0,
        )
        run = Run(latent, denoiser, processed, list(p.comments), job, dict(p.extra_generation_params))
        if last and generation.job_of(p) is not None:
            generation.job_of(p).finish(p, processed)
        return run


@dataclass
class Run:
    latent: Tensor
    denoiser: standins.Denoiser
    processed: Any
    comments: list[str]
    job: Any
    entries: dict[str, Any]

    def texts(self) -> list[Tensor]:
        """What the model was given for text, call by call."""
        given = [params.text_cond for params in self.denoiser.seen]
        return [text["crossattn"] if isinstance(text, dict) else text for text in given]


def euler(denoiser: Any, x: Tensor, at: Any) -> Tensor:
    sigmas = torch.cat([noise_levels(denoiser.total_steps), torch.zeros(1)])
    x = x * sigmas[0]
    for now, then in itertools.pairwise(sigmas):
        if at:
            at(denoiser)
        direction = (x - denoiser(x, now.expand(len(x)))) / now
        x = x + direction * (then - now)
    return x


def timestep_euler(denoiser: Any, x: Tensor, at: Any) -> Tensor:
    """DDIM."""
    alphas = denoiser.alphas
    times = torch.linspace(999, 1, denoiser.total_steps).long()
    for number, time in enumerate(times):
        if at:
            at(denoiser)
        noise = denoiser(x, time.expand(len(x)))
        kept = alphas[time]
        then = alphas[times[number + 1]] if number + 1 < len(times) else torch.tensor(0.9999)
        x0 = (x - (1 - kept).sqrt() * noise) / kept.sqrt()
        x = then.sqrt() * x0 + (1 - then).sqrt() * noise
    return x


def picture(latent: Tensor) -> Image.Image:
    values = ((latent[:3] / 4 + 0.5).clamp(0, 1) * 255).byte().permute(1, 2, 0)
    return Image.fromarray(values.contiguous().numpy()).resize((64, 64))
