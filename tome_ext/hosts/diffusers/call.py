"""One call of a pipeline's UNet, and how to make further ones like it for chosen images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


class Mismatch(ValueError):
    """A call samples something else than was announced."""


_NAMES = ("sample", "timestep", "encoder_hidden_states")


@dataclass(frozen=True)
class UNetCall:
    """The arguments of one UNet call, for ``images`` images, behind as many negative rows with guidance.

    ``batch`` is the number of rows; the images' own rows are its last ``images``. ``guidance_known``: whether the
    pipeline itself tells if it uses guidance.
    """

    arguments: dict[str, Any]
    images: int
    guidance_known: bool = False

    @classmethod
    def of(cls, args: Sequence[Any], kwargs: Mapping[str, Any], images: int, *, guided: bool | None = None) -> UNetCall:
        """Read the arguments. ``guided``: whether the pipeline uses guidance; None where it does not tell.

        Raises Mismatch for another number of rows than one for each image, or two with guidance.
        """
        arguments = {**dict(zip(_NAMES, args, strict=False)), **kwargs}
        rows = len(arguments["sample"])
        expected = {None: (images, 2 * images), False: (images,), True: (2 * images,)}[guided]
        if rows not in expected:
            how = {None: "", False: " without guidance", True: " with guidance"}[guided]
            raise Mismatch(f"attached for {images} image(s), but the UNet was called with {rows} rows{how}")
        return cls(_ordinary(arguments), images, guided is not None)

    @property
    def batch(self) -> int:
        """The number of rows of the call."""
        return len(self.arguments["sample"])

    @property
    def first(self) -> int:
        """The row of the first image."""
        return self.batch - self.images

    @property
    def latents(self) -> Tensor:
        """The images' latents as the UNet is given them [B, C, h, w], without an inpainting model's extra channels."""
        return self.arguments["sample"][self.first :, : self.channels]  # type: ignore[no-any-return]

    @property
    def channels(self) -> int:
        """The latents' own channels: inpainting models are given mask and picture behind them."""
        channels = self.arguments["sample"].shape[1]
        return 4 if channels > 4 else channels

    @property
    def resizable(self) -> bool:
        """Whether nothing in the call is of the picture's size but the latents: no inpainting, no ControlNet."""
        residuals = any(value is not None for name, value in self.arguments.items() if "residual" in name)
        return self.channels == self.arguments["sample"].shape[1] and not residuals

    @property
    def conditioning(self) -> Tensor:
        """The images' encoded prompts [B, T, D]."""
        return self.arguments["encoder_hidden_states"][self.first :]  # type: ignore[no-any-return]

    @property
    def null(self) -> Tensor | None:
        """The encoded negative prompts [B, T, D], None without guidance."""
        return self.arguments["encoder_hidden_states"][: self.first] if self.first else None

    @property
    def timestep(self) -> float:
        """The timestep, of all rows."""
        return float(torch.as_tensor(self.arguments["timestep"]).reshape(-1)[0])

    def changed(self, context: Tensor, latents: Tensor | None, pooled: Sequence[Tensor | None]) -> dict[str, Any]:
        """The arguments with other text for the images, and other latents and pooled vectors (None: its own).

        Other latents are for all rows of an image, the negative one included.
        """
        arguments = dict(self.arguments)
        text = arguments["encoder_hidden_states"].clone()
        text[self.first :] = context.to(text)
        arguments["encoder_hidden_states"] = text
        if latents is not None:
            sample = arguments["sample"].clone()
            for start in range(0, self.batch, self.images):
                sample[start : start + self.images, : self.channels] = latents.to(sample)
            arguments["sample"] = sample
        if any(vector is not None for vector in pooled):
            added = dict(arguments["added_cond_kwargs"])
            embeds = added["text_embeds"].clone()
            for image, vector in enumerate(pooled):
                if vector is not None:
                    embeds[self.first + image] = vector.to(embeds)
            arguments["added_cond_kwargs"] = {**added, "text_embeds": embeds}
        return arguments

    def predictor(
        self, unet: nn.Module, to_noise: Callable[[Tensor, Tensor], Tensor], *, blank_pooled: bool
    ) -> Callable[[Tensor, Tensor, Sequence[int]], Tensor]:
        """A noise predictor for :class:`tome_ext.method.state.Step`; ``to_noise`` (output, latents) converts to ε.

        Everything else that the call was given (ControlNet residuals, sizes, …) goes along by rows.
        ``blank_pooled``: with zeros in place of SDXL's pooled vector.
        """

        def predict(latents: Tensor, context: Tensor, images: Sequence[int]) -> Tensor:
            rows = [self.first + image for image in images]
            arguments = select_rows(self.arguments, rows, self.batch)
            sample = arguments["sample"]
            latents = latents.to(sample.dtype)
            beside = sample[:, self.channels :]
            arguments["sample"] = torch.cat([latents, beside], 1) if beside.shape[1] else latents
            arguments["encoder_hidden_states"] = context.to(self.conditioning.dtype)
            if blank_pooled and arguments.get("added_cond_kwargs"):
                added = arguments["added_cond_kwargs"]
                arguments["added_cond_kwargs"] = {**added, "text_embeds": torch.zeros_like(added["text_embeds"])}
            arguments["return_dict"] = False
            return to_noise(unet.forward(**arguments)[0], latents)

        return predict


def _ordinary(value: Any) -> Any:
    """``value`` with copies of what was computed under inference_mode, which no gradient may pass."""
    if isinstance(value, Tensor):
        return value.clone() if value.is_inference() else value
    if isinstance(value, dict):
        return {key: _ordinary(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_ordinary, value))
    return value


def select_rows(value: Any, rows: Sequence[int], batch: int) -> Any:
    """``value`` with every tensor of ``batch`` rows, however deep in dicts, lists and tuples, cut to ``rows``."""
    if isinstance(value, Tensor):
        return value[list(rows)] if value.ndim and len(value) == batch else value
    if isinstance(value, dict):
        return {key: select_rows(item, rows, batch) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(select_rows(item, rows, batch) for item in value)
    return value
