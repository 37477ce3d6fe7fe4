"""Stand-ins for the WebUI's modules, as far as generation meets them, with the behaviour seen on a running one.

The UNet has ldm's module names; tokens are CLIP's; embeddings are random but fixed, and see the text before them, so
that end tokens carry it. Samplers are Euler's, over noise levels (x0 comes out) or timesteps (ε comes out).
"""

from __future__ import annotations

import contextlib
import re
import sys
import types
from typing import Any

import torch
from torch import Tensor, nn

from tests.ldm_unet import LdmUNet
from tome_ext.prompts.prompt_editing import parts
from tome_ext.tokens.bpe import encode
from tome_ext.tokens.vocabulary import BOS, EOT

WIDTH, POOLED, SIZES = 24, 8, 6
BREAK = " BREAK "


class InterruptedException(BaseException):
    """Not an Exception, as in the host."""


class SdConditioning(list):
    def __init__(self, prompts, is_negative_prompt=False, width=None, height=None):
        super().__init__(prompts)
        self.is_negative_prompt, self.width, self.height = is_negative_prompt, width, height


class DictWithShape(dict):
    @property
    def shape(self):
        return self["crossattn"].shape


class Embedder(nn.Module):
    """CLIP's tokens in chunks of 75, BREAK included, and an encoder that looks at the text so far."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.table = torch.randn(49408, WIDTH, generator=generator)
        self.place = torch.randn(77, WIDTH, generator=generator) * 0.3

    def tokenize(self, texts):
        return [encode(text) for text in texts]

    def tokenize_line(self, text):
        chunks = []
        for piece in text.split(BREAK):
            ids = encode(piece)
            for start in range(0, max(len(ids), 1), 75):
                some = ids[start : start + 75]
                tokens = [BOS, *some, *[EOT] * (76 - len(some))]
                chunks.append(types.SimpleNamespace(tokens=tokens, multipliers=[1.0] * 77, fixes=[]))
        return chunks, 0

    def encode(self, text: str) -> Tensor:
        rows = []
        for chunk in self.tokenize_line(text)[0]:
            seen = self.table[torch.tensor(chunk.tokens)] + self.place
            rows.append((0.6 * seen + 0.4 * seen.cumsum(0) / torch.arange(1, 78)[:, None].sqrt()).to(seen))
        return torch.cat(rows)


class Model(nn.Module):
    """A checkpoint: ``sdxl`` ones have a dict for conditioning."""

    def __init__(self, *, sdxl: bool, seed: int = 0, prediction: str = "eps") -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.model = nn.Module()
        self.model.diffusion_model = LdmUNet(context=WIDTH)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if "attn2.to_q" in name or "attn2.to_k" in name:
                    parameter.mul_(3)
        self.model.conditioning_key = "crossattn"
        self.sdxl = sdxl
        self.lowvram = False
        self.encoded: list[str] = []
        embedder = Embedder()
        self.cond_stage_model = nn.Module() if sdxl else embedder
        if sdxl:
            self.cond_stage_model.embedders = nn.ModuleList([embedder])
        self.embedder = [embedder]
        self.alphas_cumprod = torch.linspace(0.9991**0.5, 0.0047**0.5, 1000) ** 2
        self.prediction = prediction

    def get_learned_conditioning(self, texts):
        self.encoded += texts
        modules = sys.modules["modules.sd_hijack"].model_hijack
        modules.extra_generation_params = {"TI hashes": "of the latest text"}
        tokens = [self.embedder[0].encode(text) for text in texts]
        longest = max(map(len, tokens))
        empty = self.embedder[0].encode("")
        made = torch.stack([torch.cat([one, *[empty] * ((longest - len(one)) // 77)]) for one in tokens])
        if not self.sdxl:
            return made
        blank = texts.is_negative_prompt and not any(texts)
        pooled = made[:, -1, :POOLED] * (0.0 if blank else 1.0)
        sizes = torch.tensor([[texts.height or 0, texts.width or 0] * (SIZES // 2)]).expand(len(texts), -1) / 1024
        return DictWithShape(crossattn=made, vector=torch.cat([pooled, sizes], 1))

    def apply_model(self, x: Tensor, condition: dict[str, Any]) -> Tensor:
        context = condition["crossattn"] if self.sdxl else condition["c_crossattn"][0]
        assert len(condition["c_concat"][0]) == len(context) == len(x)
        # As under the host's autocast; and random weights must not run away.
        weight = next(self.model.parameters(), x)
        out = torch.tanh(0.05 * self.model.diffusion_model(x.to(weight), context.to(weight))).to(x)
        if self.sdxl:
            out = out + 0.1 * condition["vector"].mean(-1)[:, None, None, None]
        return out


class SigmaModel(nn.Module):
    def __init__(self, model: Model) -> None:
        super().__init__()
        self.inner_model = model

    def forward(self, x, sigma, cond):
        level = sigma[:, None, None, None]
        return x - level * self.inner_model.apply_model(x / (1 + level**2).sqrt(), cond)


class TimestepModel(nn.Module):
    def __init__(self, model: Model) -> None:
        super().__init__()
        self.inner_model = model

    def forward(self, x, timesteps, cond):
        return self.inner_model.apply_model(x, cond)


class Denoiser:
    """The guidance: stacks the rows, calls the callbacks, reads back what the first one left."""

    def __init__(self, p: Any, model: Model, timesteps: bool, callbacks: types.SimpleNamespace) -> None:
        self.p, self.model, self.callbacks = p, model, callbacks
        self.step, self.total_steps, self.cond_scale_miltiplier = 0, 0, 1.0
        self.inner_model: Any = TimestepModel(model) if timesteps else SigmaModel(model)
        if timesteps:
            self.alphas = model.alphas_cumprod
        self.sampler = types.SimpleNamespace(sampler_extra_args={})
        self.seen: list[Any] = []

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        if state().interrupted or state().skipped:
            raise InterruptedException
        extra = self.sampler.sampler_extra_args
        weights, text = stacked(extra["cond"], self.step)
        uncond = stacked_plain(extra["uncond"], self.step)
        rows = [image for image, own in enumerate(weights) for _ in own]
        image_cond = torch.zeros(len(x), 5, 1, 1)
        params = types.SimpleNamespace(
            x=torch.cat([x[rows], x]),
            sigma=torch.cat([sigma[rows], sigma]),
            image_cond=torch.cat([image_cond[rows], image_cond]),
            text_cond=text,
            text_uncond=uncond,
            denoiser=self,
        )
        self.callbacks.denoise(params)
        self.seen.append(params)
        both = [self._predict(params, params.text_cond, slice(0, len(rows)))]
        both.append(self._predict(params, params.text_uncond, slice(len(rows), None)))
        made = torch.cat(both)
        # What the callback leaves in ``x`` is not read back.
        self.callbacks.denoised(types.SimpleNamespace(x=made, inner_model=self.inner_model))
        out, negative = made[: len(rows)], made[len(rows) :]
        result = negative.clone()
        for row, (image, weight) in enumerate(zip(rows, [w for own in weights for w in own], strict=True)):
            result[image] += (out[row] - negative[image]) * weight * extra["cond_scale"]
        self.step += 1
        return result

    def _predict(self, params: Any, text: Any, rows: slice) -> Tensor:
        image = params.image_cond[rows]
        if isinstance(text, dict):
            condition = {**text, "c_concat": [image]}
        else:
            condition = {"c_crossattn": [text], "c_concat": [image]}
        return self.inner_model(params.x[rows], params.sigma[rows], cond=condition)


def entry(cond: Any, end: int) -> Any:
    return types.SimpleNamespace(end_at_step=end, cond=cond)


def encoded(model: Model, prompts: SdConditioning, steps: int) -> Any:
    """The conditioning of a batch, by image, part and step."""
    indexes, flat, _ = _multicond(prompts)
    schedules = []
    for schedule in _schedules(flat, steps):
        made = model.get_learned_conditioning(
            SdConditioning([text for _, text in schedule], False, prompts.width, prompts.height)
        )
        rows = [{k: v[i] for k, v in made.items()} if isinstance(made, dict) else made[i] for i in range(len(schedule))]
        schedules.append([entry(row, end) for row, (end, _) in zip(rows, schedule, strict=True)])
    batch = [
        [types.SimpleNamespace(schedules=schedules[number], weight=weight) for number, weight in own] for own in indexes
    ]
    return types.SimpleNamespace(batch=batch)


def _at(schedule: list[Any], step: int) -> Any:
    return next((one for one in schedule if step <= one.end_at_step), schedule[0]).cond


def _stack(tensors: list[Tensor]) -> Tensor:
    longest = max(map(len, tensors))
    return torch.stack([torch.cat([one, one[-1:].repeat(longest - len(one), 1)]) for one in tensors])


def stacked(conditioning: Any, step: int) -> tuple[list[list[float]], Any]:
    weights = [[part.weight for part in own] for own in conditioning.batch]
    conds = [_at(part.schedules, step) for own in conditioning.batch for part in own]
    if isinstance(conds[0], dict):
        crossattn = _stack([one["crossattn"] for one in conds])
        return weights, DictWithShape(crossattn=crossattn, vector=torch.stack([one["vector"] for one in conds]))
    return weights, _stack(conds)


def stacked_plain(conditioning: Any, step: int) -> Any:
    return stacked(conditioning, step)[1]


def state() -> Any:
    return sys.modules["modules.shared"].state


def modules(model: Model) -> dict[str, types.ModuleType]:
    """The fake modules by name."""
    made: dict[str, types.ModuleType] = {}

    def module(name: str, **content: Any) -> None:
        made[f"modules.{name}"] = types.ModuleType(f"modules.{name}")
        vars(made[f"modules.{name}"]).update(content)

    reports: list[str] = []
    module("devices", autocast=contextlib.nullcontext, torch_gc=lambda: None, fp8=False)
    module("errors", report=lambda text, exc_info=False: reports.append(text), reports=reports)
    module(
        "prompt_parser",
        SdConditioning=SdConditioning,
        get_multicond_prompt_list=_multicond,
        get_learned_conditioning_prompt_schedules=_schedules,
    )
    module("sd_samplers", find_sampler_config=lambda name: types.SimpleNamespace(total_steps=lambda steps: steps))
    module("sd_samplers_common", InterruptedException=InterruptedException)
    module("sd_unet", current_unet=None)
    module("sd_hijack", model_hijack=types.SimpleNamespace(extra_generation_params={}, comments=[]))
    module(
        "shared",
        opts=types.SimpleNamespace(use_old_scheduling=False),
        state=types.SimpleNamespace(interrupted=False, skipped=False),
        cmd_opts=types.SimpleNamespace(lowvram=False),
        sd_model=model,
    )
    package = types.ModuleType("modules")
    package.__path__ = []
    for name, one in made.items():
        setattr(package, name.split(".")[1], one)
    return {"modules": package, **made}


def _multicond(prompts):
    flat = SdConditioning([])
    indexes = []
    for prompt in prompts:
        own = []
        for piece in re.split(r"\bAND\b", prompt):
            text, _, number = piece.rpartition(":")
            weighted = "[" not in number and number.strip().replace(".", "", 1).isdigit()
            text, weight = (text.rstrip(), float(number)) if weighted else (piece, 1.0)
            if text not in flat:
                flat.append(text)
            own.append((flat.index(text), weight))
        indexes.append(own)
    return indexes, flat, {}


def _schedules(prompts, steps, hires_steps=None, use_old_scheduling=False):
    return [[[v.end_at_step, v.text] for v in parts(prompt, hires_steps or steps)[0].variants] for prompt in prompts]
