"""Attention maps behind the finished images of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from tome_ext.hosts.common.maps import FONT_SIZE, HeatMap, picture
from tome_ext.hosts.webui.ui.preferences import SAVE_MAPS, chosen

# Scripts that put the pictures of several jobs, or of one, together in the order in which they come.
_GRIDS = ("x/y/z plot", "prompt matrix")


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
    tables = [picture(images[first + number * stride], maps[number], _font()) for number in shown]
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


def _font() -> Any:
    """The host's font, which has more letters than Pillow's; None where it has none."""
    try:
        from modules.images import get_font

        return get_font(FONT_SIZE)
    except Exception:
        return None
