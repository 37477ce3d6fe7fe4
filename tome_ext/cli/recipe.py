"""What repeats a picture: its recipe, in the PNG's metadata and back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tome_ext import __version__
from tome_ext.cli.console import CommandError
from tome_ext.settings import SettingError, Settings, changes_from_preset, declaration, settings_from_json

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
_LONGEST_TEXT = 20_000
_LONGEST_CHUNK = 200_000


@dataclass(frozen=True)
class Recipe:
    """Everything that decides one picture, or one comparison of ``count`` pictures.

    ``width`` and ``height`` are in pixels, 0 for the model's own size. ``negative`` None means none was
    given, which is not the same as an empty one for SDXL. ``model`` is a name for people and for the
    embedded models; a path is reduced to its last part. Values are checked on construction; raises
    CommandError naming the field, the value and the allowed range.
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
            is_text = isinstance(value, str) and len(value) <= _LONGEST_TEXT
            if not is_text and (name != "negative" or value is not None):
                self._refuse(name, f"text of at most {_LONGEST_TEXT} characters")
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
        value = repr(getattr(self, name))
        raise CommandError(f"{name} = {value if len(value) < 80 else value[:76] + '...'}: must be {allowed}")

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

    def parameters(self) -> str:
        """The recipe for people, in the form that WebUIs show: prompt, negative prompt, one line of settings."""
        changes = changes_from_preset(self.settings)
        fields: dict[str, object] = {
            "Steps": self.steps,
            "Sampler": self.scheduler,
            "CFG scale": self.guidance,
            "Seed": self.seed,
            "Size": f"{self.width}x{self.height}",
            "Model": self.model,
        }
        if self.method == "plain":
            fields["ToMe"] = "off"
        else:
            fields["ToMe"] = changes.pop("preset")
            for name, value in changes.items():
                setting = declaration(name)
                text = setting.format(value)
                fields[f"ToMe {setting.label.lower()}"] = json.dumps(text) if setting.kind == "text" else text
        lines = [self.prompt] + ([f"Negative prompt: {self.negative}"] if self.negative else [])
        return "\n".join([*lines, ", ".join(f"{name}: {value}" for name, value in fields.items())])


def save_png(image: Image.Image, path: Path, recipe: Recipe) -> None:
    """Write ``image`` with its recipe in two text chunks: ``tome`` (JSON, ASCII) and ``parameters``."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", recipe.parameters())
    info.add_text(CHUNK, json.dumps(recipe.to_json(), ensure_ascii=True))
    image.save(path, format="PNG", pnginfo=info)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a PNG's metadata. Raises CommandError when there is none, or when it is not valid."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=["PNG"]) as image:
            text = image.info.get(CHUNK)
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise CommandError(f"{path} cannot be read as a PNG: {error}") from error
    if not isinstance(text, str):
        raise CommandError(f"{path} carries no settings of this program (no text chunk {CHUNK!r})")
    try:
        return Recipe.from_json(_loads(text))
    except (CommandError, SettingError) as error:
        raise CommandError(f"the metadata of {path} is not valid: {error}") from error


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
