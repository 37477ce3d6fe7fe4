"""Pictures made of pictures: a labelled grid, and attention maps over an image."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tome_ext.hosts.common.heat import coloured, normalised

_PAPER, _INK, _GAP = (255, 255, 255), (20, 20, 20), 8


def grid(rows: Sequence[Sequence[Image.Image]], labels: Sequence[str], title: str) -> Image.Image:
    """``rows`` of equally large images under one label per column, with a title above that wraps."""
    width, height = rows[0][0].size
    font = _font(max(12, width // 18))
    line = _line_height(font)
    columns = len(labels)
    whole = columns * width + (columns + 1) * _GAP
    lines = _wrap(title, font, whole - 2 * _GAP)
    top = _GAP + line * (len(lines) + 1)
    sheet = Image.new("RGB", (whole, top + len(rows) * (height + _GAP)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, text in enumerate(lines):
        draw.text((_GAP, _GAP + number * line), text, fill=_INK, font=font)
    for column, label in enumerate(labels):
        left = _GAP + column * (width + _GAP)
        draw.text((left, top - line), "".join(_wrap(label, font, width)[:1]), fill=_INK, font=font)
        for row, images in enumerate(rows):
            sheet.paste(images[column].convert("RGB"), (left, top + row * (height + _GAP)))
    return sheet


def heat(image: Image.Image, attention: Any) -> Image.Image:
    """``image`` in grey with ``attention`` [h, w], over it as heat, brightest where it is highest."""
    stretched = Image.fromarray(normalised(attention)).resize(image.size, Image.Resampling.BICUBIC)
    colour = coloured(np.asarray(stretched))
    grey = np.asarray(image.convert("L"), dtype=np.float32)[..., None]
    return Image.fromarray((0.4 * grey + 0.6 * colour).clip(0, 255).astype(np.uint8))


def heat_sheet(image: Image.Image, maps: Sequence[tuple[str, Any]], title: str) -> Image.Image:
    """The image and, next to it, one heat map per composite token, labelled."""
    panels = [image, *(heat(image, attention) for _, attention in maps)]
    return grid([panels], ["picture", *(label for label, _ in maps)], title)


def _font(size: int) -> Any:
    try:
        return ImageFont.load_default(size)
    except TypeError:  # Pillow before 10.1 has one size only
        return ImageFont.load_default()


def _line_height(font: Any) -> int:
    box = font.getbbox("Ågjpqy|")
    return int(box[3]) + 6


def _wrap(text: str, font: Any, width: int) -> list[str]:
    """``text`` in lines of at most ``width`` pixels, as far as the font's average letter tells."""
    letters = max(8, int(width / max(font.getlength("abcdefghijklmnopqrstuvwxyz ") / 27, 1.0)))
    return textwrap.wrap(" ".join(text.split()), letters, max_lines=4, placeholder=" …")
