"""Attention maps: recorded in extra partial passes, shown as heat over the finished image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from tome_ext.hosts.common.heat import coloured, normalised
from tome_ext.method.attention import map_size
from tome_ext.method.layers import select_layers
from tome_ext.method.objective import attention
from tome_ext.method.state import Step, Tokens
from tome_ext.method.window import reached
from tome_ext.settings import Settings
from tome_ext.tokens import CHUNK, LocatedGroup

FONT_SIZE = 16
_TILE, _MARGIN, _LINE = 256, 10, 26
_BACKGROUND, _INK, _PALE = (24, 24, 27), (244, 244, 245), (161, 161, 170)


# Where the maps are taken when nothing is refined: the layout has formed (docs/METHOD.md, "The four parts").
_FROM = 0.2


@dataclass(frozen=True)
class HeatMap:
    """Where an object's token looks: ``plain`` [h, w] the noun's without ToMe, ``merged`` [h, w] the composite's."""

    label: str
    plain: Tensor
    merged: Tensor


def maps_due(place: float, settings: Settings, *, refines: bool, last: bool) -> bool:
    """Whether the maps belong to a model call at ``place`` of the noise schedule: the refinement is over by then.

    At the ``last`` call of a run in any case.
    """
    return last or reached(place, settings.window_stop if refines else _FROM)


@torch.no_grad()
def heat_maps(step: Step, plain: Tensor, tokens: Tokens, groups: Sequence[LocatedGroup], layers: str) -> list[HeatMap]:
    """The maps of one row's composite tokens, and those of their nouns in its ``plain`` conditioning [T, D].

    Two passes up to the last layer needed; nothing of the step changes.
    """
    chosen = select_layers(step.unet, layers)
    size = (step.latents.shape[-2], step.latents.shape[-1])
    found = []
    for context, positions in (
        (plain[None], [chunk * CHUNK + index for chunk, index in (group.noun[0] for group in groups)]),
        (tokens.context, tokens.position),
    ):
        seen = attention(step, context.float(), step.latents, [0], chosen)[0]
        shape = map_size(size, len(seen))
        found.append([seen[:, position].view(shape).cpu() for position in positions])
    return [HeatMap(_label(group), *both) for group, *both in zip(groups, *found, strict=True)]


def picture(image: Image.Image, maps: Sequence[HeatMap], font: Any = None) -> Image.Image:
    """A table of ``maps`` over ``image``: a line for each object, plain on the left and ToMe on the right.

    ``font``: one of Pillow's; None for its own, which knows Latin letters only.
    """
    scale = _TILE / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    grey = image.convert("L").convert("RGB").resize((width, height))
    font = font or _plain_font()
    step = height + _LINE + _MARGIN
    table = Image.new("RGB", (2 * width + 3 * _MARGIN, step * len(maps) + _LINE + _MARGIN), _BACKGROUND)
    draw = ImageDraw.Draw(table)
    for column, title in enumerate(("without ToMe", "with ToMe")):
        draw.text((_MARGIN + column * (width + _MARGIN), _MARGIN // 2), title, fill=_PALE, font=font)
    for line, heat in enumerate(maps):
        top = _LINE + _MARGIN + line * step
        draw.text((_MARGIN, top), _fitted(heat.label, draw, font, table.width - 2 * _MARGIN), fill=_INK, font=font)
        for column, one in enumerate((heat.plain, heat.merged)):
            tile = Image.blend(grey, _coloured(one).resize((width, height), Image.Resampling.BICUBIC), 0.65)
            table.paste(tile, (_MARGIN + column * (width + _MARGIN), top + _LINE))
    return table


def _plain_font() -> Any:
    try:
        return ImageFont.load_default(FONT_SIZE)
    except TypeError:  # before Pillow 10.1
        return ImageFont.load_default()


def _fitted(label: str, draw: ImageDraw.ImageDraw, font: Any, width: int) -> str:
    """The label, as much of it as the picture has room for."""
    if not isinstance(font, ImageFont.FreeTypeFont):
        # Characters that Pillow's built-in font lacks raise an error in some versions.
        label = label.encode("latin-1", "replace").decode("latin-1")
    whole = label
    while label and draw.textlength(label if label == whole else f"{label}...", font=font) > width:
        label = label[:-1]
    return label if label == whole else f"{label}..."


def _coloured(heat: Tensor) -> Image.Image:
    return Image.fromarray(coloured(normalised(heat.numpy())).round().astype(np.uint8))


def _label(group: LocatedGroup) -> str:
    words = [span.text for span in group.group.related] + [term.text for term in group.group.extra]
    name = group.group.name or group.group.noun.text
    return f"{name}: {', '.join(words)}" if words else name
