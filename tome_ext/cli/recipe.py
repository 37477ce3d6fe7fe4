"""What repeats a picture: its recipe, written into the PNG's metadata and read back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tome_ext import __version__
from tome_ext.cli.console import CommandError, short, warn
from tome_ext.hosts.common.files import replacing
from tome_ext.hosts.common.infotext import (
    Infotext,
    entries,
    format_infotext,
    parse_infotext,
    parser_used,
    read,
    written,
)
from tome_ext.settings import SettingError, Settings, check_unicode, cut, settings_from_json

if TYPE_CHECKING:
    from PIL import Image

CHUNK = "tome"
METHODS = ("tome", "plain", "compare")
# diffusers' classes by the names this command line uses; "model" is the scheduler the model came with.
SCHEDULERS = {
    "model": "",
    "ddim": "DDIMScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler-a": "EulerAncestralDiscreteScheduler",
    "dpmpp-2m": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
}
# The WebUI's names of the same samplers.
_SAMPLERS = {"ddim": "DDIM", "euler": "Euler", "euler-a": "Euler a", "dpmpp-2m": "DPM++ 2M", "unipc": "UniPC"}
_LONGEST_TEXT = 20_000
_LONGEST_CHUNK = 200_000


@dataclass(frozen=True)
class Recipe:
    """Everything that decides one picture, or one comparison of ``count`` pictures.

    ``width`` and ``height`` are in pixels, 0 for the model's own size. ``negative`` None means none was
    given, which is not the same as an empty one for SDXL. ``model`` is a name for people and for the
    embedded models; a path is reduced to its last part. Values are checked on construction; raises
    CommandError naming the field, the value and the allowed range, or SettingError for text that is not Unicode.
    """

    prompt: str
    seed: int
    negative: str | None = None
    steps: int = 30
    width: int = 0
    height: int = 0
    guidance: float = 7.0
    scheduler: str = "model"
    model: str = ""
    method: str = "tome"
    count: int = 1
    maps: bool = False
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        """Check every field."""
        self._check_number("seed", int, 0, 2**63 - 1)
        self._check_number("steps", int, 1, 1000)
        self._check_number("count", int, 1, 1000)
        self._check_number("guidance", (int, float), 0, 100)
        for name in ("width", "height"):
            self._check_number(name, int, 0, 8192)
            if getattr(self, name) % 8:
                self._refuse(name, "a multiple of 8")
        for name in ("prompt", "negative", "model"):
            value = getattr(self, name)
            if value is None and name == "negative":
                continue
            if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
                self._refuse(name, f"text of at most {_LONGEST_TEXT} characters")
            check_unicode(name, value)
        for name, known in (("scheduler", tuple(SCHEDULERS)), ("method", METHODS)):
            if getattr(self, name) not in known:
                self._refuse(name, "one of " + ", ".join(known))
        if not isinstance(self.maps, bool):
            self._refuse("maps", "true or false")

    def _check_number(self, name: str, kind: Any, minimum: float, maximum: float) -> None:
        value = getattr(self, name)
        fits = isinstance(value, kind) and not isinstance(value, bool)
        if not fits or not minimum <= value <= maximum:
            number = "a whole number" if kind is int else "a number"
            self._refuse(name, f"{number} from {minimum:g} to {maximum:g}")

    def _refuse(self, name: str, allowed: str) -> NoReturn:
        raise CommandError(f"{name} = {short(getattr(self, name))}: must be {allowed}")

    def replace(self, **changes: Any) -> Recipe:
        """A copy with other values."""
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, object]:
        """All fields, with the settings in full, so that later presets do not change what it repeats."""
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "settings"}
        return {"made_by": f"sd-webui-tome {__version__}", **own, "settings": self.settings.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Recipe:
        """Read :meth:`to_json` back. The values may come from anyone; raises CommandError or SettingError."""
        known = {f.name for f in dataclasses.fields(cls)} - {"settings"}
        settings = values.get("settings", {})
        if not isinstance(settings, dict) or not {"prompt", "seed"} <= values.keys():
            raise CommandError("the metadata is incomplete: it needs prompt, seed and settings")
        own: dict[str, Any] = {name: values[name] for name in known & values.keys()}
        return cls(**own, settings=settings_from_json(settings))

    def infotext(self, parser: str = "", failure: str = "") -> Infotext:
        """The recipe as the WebUI writes it, so that its PNG Info reads it back.

        ``parser``: the one that read the prompt, by default the one that does so on this machine. ``failure``: why
        the picture was made without a part of the method.
        """
        shown: dict[str, str] = {"Steps": str(self.steps)}
        if self.scheduler in _SAMPLERS:
            shown["Sampler"] = _SAMPLERS[self.scheduler]
        shown |= {
            "CFG scale": repr(float(self.guidance)).removesuffix(".0"),
            "Seed": str(self.seed),
            "Size": f"{self.width}x{self.height}",
        }
        if self.model:
            shown["Model"] = self.model
        tome = {}
        if self.method != "plain":
            tome = entries(self.settings, parser or parser_used(self.settings.parser))
        return Infotext(self.prompt, self.negative or "", written(shown, tome, failure))

    @classmethod
    def from_infotext(cls, infotext: Infotext) -> Recipe:
        """The recipe of a WebUI's infotext; warns about a sampler that has no counterpart here.

        Emphasis and other syntax of the WebUI is ordinary text here. Raises CommandError.
        """
        found = infotext.entries
        try:
            width, height = (int(side) for side in found.get("Size", "0x0").split("x"))
            seed, steps, guidance = int(found["Seed"]), int(found["Steps"]), float(found["CFG scale"])
        except (KeyError, ValueError) as error:
            raise CommandError(f"its infotext is incomplete: {cut(str(error))}") from error
        samplers = {name: scheduler for scheduler, name in _SAMPLERS.items()}
        sampler = found.get("Sampler", "")
        if sampler and sampler not in samplers:
            warn(f"the sampler {short(sampler)} is not known here; the model's own scheduler is used")
        tome = read(found)
        return cls(
            prompt=infotext.prompt,
            seed=seed,
            steps=steps,
            width=width,
            height=height,
            negative=infotext.negative or None,
            guidance=guidance,
            scheduler=samplers.get(sampler, "model"),
            model=found.get("Model", ""),
            method="tome" if tome else "plain",
            settings=tome[0] if tome else Settings(),
        )


def save_png(image: Image.Image, path: Path, recipe: Recipe, parser: str = "", failure: str = "") -> None:
    """Write ``image`` with its recipe in two text chunks: ``tome`` (JSON, ASCII) and ``parameters`` (infotext).

    The file is whole or not there: it is written beside its place and moved into it. ``parser`` and ``failure`` as in
    :meth:`Recipe.infotext`.
    """
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", format_infotext(recipe.infotext(parser, failure)))
    info.add_text(CHUNK, json.dumps(recipe.to_json(), ensure_ascii=True))
    with replacing(path) as partial:
        image.save(partial, format="PNG", pnginfo=info)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a PNG's metadata, written here or by a WebUI.

    Raises CommandError when there is none, or when it is not valid.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=["PNG"]) as image:
            text, infotext = image.info.get(CHUNK), image.info.get("parameters")
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise CommandError(f"{path} cannot be read as a PNG: {error}") from error
    if not isinstance(text, str) and not isinstance(infotext, str):
        raise CommandError(f"{path} carries no settings (no text chunk {CHUNK!r} or 'parameters')")
    try:
        return Recipe.from_json(_loads(text)) if isinstance(text, str) else _from_text(str(infotext))
    except (CommandError, SettingError) as error:
        raise CommandError(f"the metadata of {path} is not valid: {error}") from error


def _from_text(text: str) -> Recipe:
    if len(text) > _LONGEST_CHUNK:
        raise CommandError(f"it is longer than {_LONGEST_CHUNK} characters")
    return Recipe.from_infotext(parse_infotext(text))


def _loads(text: str) -> dict[str, object]:
    if len(text) > _LONGEST_CHUNK:
        raise CommandError(f"it is longer than {_LONGEST_CHUNK} characters")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"it is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise CommandError("it is not a JSON object")
    return values
