"""Attention maps behind the finished images of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tome_ext.hosts.common.maps import HeatMap, picture


def add_pictures(processed: Any, maps: Mapping[int, Sequence[HeatMap]], *, stride: int) -> None:
    """One more picture for each image with ``maps`` behind all others, each with its image's infotext.

    ``stride``: masks may stand behind each image; infotexts count the images alone.
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
