"""Attention maps: recorded in an extra partial pass, shown as heat over the finished image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from tome_ext.hosts.common.heat import coloured, normalised
from tome_ext.hosts.webui.ui.preferences import SAVE_MAPS, chosen
from tome_ext.method.attention import map_size
from tome_ext.method.layers import select_layers
from tome_ext.method.objective import attention
from tome_ext.method.state import Step, Tokens
from tome_ext.tokens import CHUNK, LocatedGroup

_TILE, _MARGIN, _LINE, _FONT_SIZE = 256, 10, 26, 16
_BACKGROUND, _INK, _PALE = (24, 24, 27), (244, 244, 245), (161, 161, 170)
# Scripts that put the pictures of several jobs, or of one, together in the order in which they come.
_GRIDS = ("x/y/z plot", "prompt matrix")


@dataclass(frozen=True)
class HeatMap:
    """Where an object's token looks: ``plain`` [h, w] the noun's without ToMe, ``merged`` [h, w] the composite's."""

    label: str
    plain: Tensor
    merged: Tensor


@torch.no_grad()
def heat_maps(step: Step, plain: Tensor, tokens: Tokens, groups: Sequence[LocatedGroup], layers: str) -> list[HeatMap]:
    """The maps of one row's composite tokens, and those of their nouns in its ``plain`` conditioning [T, D].

    Two passes up to the last layer needed; nothing of the step changes.
    """
    selected = select_layers(step.unet, layers)
    size = (step.latents.shape[-2], step.latents.shape[-1])
    found = []
    for context, positions in (
        (plain[None], [chunk * CHUNK + index for chunk, index in (group.noun[0] for group in groups)]),
        (tokens.context, tokens.position),
    ):
        seen = attention(step, context.float(), step.latents, [0], selected)[0]
        shape = map_size(size, len(seen))
        found.append([seen[:, position].view(shape).cpu() for position in positions])
    return [HeatMap(_label(group), *both) for group, *both in zip(groups, *found, strict=True)]


def in_grid(p: Any) -> bool:
    """Whether the job is a cell or a part of a grid, which would drop the maps or be put out of order by them."""
    number = next(iter(getattr(p, "script_args", None) or ()), 0)
    known = getattr(getattr(p, "scripts", None), "selectable_scripts", ())
    script = known[number - 1] if isinstance(number, int) and 0 < number <= len(known) else None
    return script is not None and script.title().lower() in _GRIDS


def add_pictures(p: Any, processed: Any, maps: Mapping[int, Sequence[HeatMap]], *, stride: int) -> None:
    """One more picture for each image with ``maps`` behind all others, each with its image's infotext.

    ``stride``: masks may stand behind each image; infotexts count the images alone. Where the user wishes it, the
    pictures are saved beside the images.
    """
    first, texts, images = processed.index_of_first_image, processed.infotexts, processed.images
    shown = [number for number in sorted(maps) if first + number < len(texts)]
    tables = [picture(images[first + number * stride], maps[number]) for number in shown]
    own = [texts[first + number] for number in shown]
    texts += [processed.info] * (len(images) - len(texts))
    for table, text in zip(tables, own, strict=True):
        table.info["parameters"] = text
    images += tables
    texts += own
    if tables and chosen(SAVE_MAPS, False) and p.save_samples():
        for number, table, text in zip(shown, tables, own, strict=True):
            _save(p, number, table, text)


def _save(p: Any, number: int, table: Image.Image, text: str) -> None:
    """Beside the image, under its name with "-tome-maps"."""
    from modules.images import save_image
    from modules.shared import opts

    seed, prompt = p.all_seeds[number], p.all_prompts[number]
    save_image(table, p.outpath_samples, "", seed, prompt, opts.samples_format, info=text, p=p, suffix="-tome-maps")


def picture(image: Image.Image, maps: Sequence[HeatMap]) -> Image.Image:
    """A table of ``maps`` over ``image``: a line for each object, plain on the left and ToMe on the right."""
    scale = _TILE / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    grey = image.convert("L").convert("RGB").resize((width, height))
    font = _font()
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


def _font() -> Any:
    """The host's font, which has more letters; else Pillow's."""
    try:
        from modules.images import get_font

        return get_font(_FONT_SIZE)
    except Exception:
        try:
            return ImageFont.load_default(_FONT_SIZE)
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
