"""Every setting of the method, declared once.

The user interface, the API, the XYZ plot, the infotext, the command line and the settings table in the
docs all derive from the fields of :class:`Settings`.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["bool", "int", "float", "choice", "text"]
Value = bool | int | float | str


class SettingError(ValueError):
    """A setting has an unknown name or an invalid value; the message names it and the allowed range."""


@dataclass(frozen=True)
class Setting:
    """The declaration of one setting.

    ``kind`` follows from the default; ``minimum`` and ``maximum`` are inclusive; ``step`` is the
    granularity of a slider; ``help`` says what the setting does to the picture. ``group`` orders the
    controls; ``advanced`` ones are folded away.
    """

    name: str
    default: Value
    label: str
    help: str
    group: str
    kind: Kind
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    advanced: bool = True

    @property
    def allowed(self) -> str:
        """The allowed values in words, for error messages and tables."""
        if self.kind == "bool":
            return "true or false"
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind == "text":
            return "text"
        number = "a whole number" if self.kind == "int" else "a number"
        return f"{number} from {self.minimum:g} to {self.maximum:g}"

    def validate(self, value: object) -> Value:
        """Return ``value`` in the setting's type, or raise :class:`SettingError`."""
        error = SettingError(f"{self.name} = {value!r}: must be {self.allowed}")
        if self.kind == "bool":
            if not isinstance(value, bool):
                raise error
            return value
        if self.kind in ("choice", "text"):
            if not isinstance(value, str) or (self.kind == "choice" and value not in self.choices):
                raise error
            return value
        return self._validate_number(value, error)

    def _validate_number(self, value: object, error: SettingError) -> int | float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise error
        assert self.minimum is not None
        assert self.maximum is not None
        if not self.minimum <= value <= self.maximum:  # false for NaN as well
            raise error
        if self.kind == "int" and value != int(value):
            raise error
        return int(value) if self.kind == "int" else float(value)

    def parse(self, text: str) -> Value:
        """Read the setting from text (command line, infotext, XYZ plot); the inverse of :meth:`format`."""
        if self.kind == "bool":
            words = {"true": True, "yes": True, "on": True, "1": True}
            words |= {"false": False, "no": False, "off": False, "0": False}
            return self.validate(words.get(text.strip().lower(), text))
        if self.kind in ("int", "float"):
            try:
                return self.validate(float(text))
            except ValueError as error:
                raise SettingError(f"{self.name} = {text!r}: must be {self.allowed}") from error
        return self.validate(text.strip() if self.kind == "choice" else text)

    def format(self, value: Value) -> str:
        """The setting's value as text, the shortest that reads back exactly."""
        if isinstance(value, bool):
            return "true" if value else "false"
        return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _setting(default: Value, label: str, help: str, group: str, **more: Any) -> Any:
    """A dataclass field that carries its declaration."""
    return dataclasses.field(default=default, metadata={"label": label, "help": help, "group": group, **more})


def _fraction(default: float, label: str, help: str, group: str, **more: Any) -> Any:
    return _setting(default, label, help, group, minimum=0.0, maximum=1.0, step=0.05, **more)


@dataclass(frozen=True)
class Settings:
    """All settings of the method; the defaults are the preset ``balanced``.

    Values are checked on construction. Raises :class:`SettingError`, which names the setting, the value
    and the allowed range.
    """

    # Words
    groups: str = _setting(
        "",
        "Groups",
        "Which words belong to which object, by hand: 'cat: wearing sunglasses; dog: hat'. Empty: found "
        "automatically. Objects named here override the automatic reading.",
        "Words",
        advanced=False,
    )
    parser: str = _setting(
        "auto",
        "Parser",
        "What reads the prompt: spaCy where a language model is installed (auto, spacy), or the built-in parser.",
        "Words",
        choices=("auto", "spacy", "builtin"),
    )
    clean_prompt: str = _setting(
        "",
        "Clean prompt",
        "The prompt with only the base objects, for end token substitution: 'a cat and a dog'. Empty: derived.",
        "Words",
    )
    # Merging
    noun_weight: float = _setting(
        1.0,
        "Noun weight",
        "Weight of the object's own tokens in the composite token. More: the object itself is stronger.",
        "Merging",
        minimum=-4.0,
        maximum=4.0,
        step=0.05,
        advanced=False,
    )
    related_weight: float = _setting(
        1.0,
        "Attribute weight",
        "Weight of the attributes' and sub-objects' tokens in the composite token. More: they show more.",
        "Merging",
        minimum=-4.0,
        maximum=4.0,
        step=0.05,
        advanced=False,
    )
    members: str = _setting(
        "close",
        "Merged words",
        "What happens to the positions of the merged words: the sequence closes up (paper), or they become "
        "zero vectors that still draw attention (the authors' code).",
        "Merging",
        choices=("close", "zero"),
    )
    ets: bool = _setting(
        True,
        "End token substitution",
        "Take the end tokens from the clean prompt, so that attributes do not leak to every object through them.",
        "Merging",
        advanced=False,
    )
    ets_start: float = _fraction(
        0.0,
        "End token substitution from",
        "Fraction of the sampling run at which the end tokens are substituted; before it they are the prompt's own.",
        "Merging",
    )
    pooled: str = _setting(
        "keep",
        "Pooled vector",
        "SDXL's second conditioning, a summary of the whole prompt: kept, or taken from the clean prompt.",
        "Merging",
        choices=("keep", "clean"),
    )
    # Refinement
    iterations: int = _setting(
        1,
        "Iterations",
        "Updates of the composite tokens in each refined step. 0: none, merging only, no extra cost.",
        "Refinement",
        minimum=0,
        maximum=20,
        step=1,
        advanced=False,
    )
    window_start: float = _fraction(
        0.0, "Refine from", "Fraction of the sampling run at which refinement begins.", "Refinement"
    )
    window_stop: float = _fraction(
        0.2,
        "Refine until",
        "Fraction of the sampling run at which refinement ends. The layout forms in the first fifth.",
        "Refinement",
        advanced=False,
    )
    step_size: float = _setting(
        0.1,
        "Step size",
        "How far one update moves the tokens. Too large brings artefacts.",
        "Refinement",
        minimum=0.0,
        maximum=1000.0,
        step=0.01,
        advanced=False,
    )
    step_decay: str = _setting(
        "linear",
        "Step size over the run",
        "Constant, or falling linearly to zero at the last sampling step (the authors' code).",
        "Refinement",
        choices=("constant", "linear"),
    )
    entropy_weight: float = _setting(
        1.0,
        "Entropy loss weight",
        "Keeps each object's attention to a region of its own.",
        "Refinement",
        minimum=0.0,
        maximum=1000.0,
        step=0.1,
    )
    binding_weight: float = _setting(
        3000.0,
        "Binding loss weight",
        "Keeps the composite token's meaning close to its phrase ('a cat wearing sunglasses').",
        "Refinement",
        minimum=0.0,
        maximum=1e6,
        step=100.0,
    )
    position_weight: float = _setting(
        0.0,
        "Position loss weight",
        "Spreads the objects from left to right in the order of the prompt. 0: off.",
        "Refinement",
        minimum=0.0,
        maximum=1000.0,
        step=0.1,
    )
    entropy_target: float = _fraction(
        0.0,
        "Stop at entropy",
        "An image is done with its step once its maps' mean entropy falls below this fraction of the largest "
        "possible. 0: never early. (The form 'reference' uses the authors' thresholds instead.)",
        "Refinement",
    )
    entropy_form: str = _setting(
        "paper",
        "Entropy loss form",
        "How the attention map becomes a distribution: normalised (paper), or softmax over tokens, contrast "
        "stretch and normalisation (the authors' code).",
        "Refinement",
        choices=("paper", "reference"),
    )
    layers: str = _setting(
        "reference",
        "Attention layers",
        "Which cross-attention layers the entropy loss looks at: 'reference' (the authors' three), 'paper' (the "
        "first three of the decoder), 'middle', or names like up_blocks.0.attentions.1.transformer_blocks.0, "
        "separated by commas, * allowed.",
        "Refinement",
    )
    order: str = _setting(
        "joint",
        "Losses",
        "One joint loss (paper), or binding iterations first and entropy iterations after them (the authors' code).",
        "Refinement",
        choices=("joint", "separate"),
    )
    binding_iterations: int = _setting(
        3,
        "Binding iterations",
        "Updates from the binding loss in each refined step, before the others. Only with separate losses.",
        "Refinement",
        minimum=0,
        maximum=20,
        step=1,
    )
    binding_step_size: float = _setting(
        1.0,
        "Binding step size",
        "How far one binding update moves the composite token. Only with separate losses.",
        "Refinement",
        minimum=0.0,
        maximum=1000.0,
        step=0.1,
    )
    update: str = _setting(
        "composites",
        "Updated tokens",
        "What the entropy and position losses move: the composite tokens (paper), or every text token.",
        "Refinement",
        choices=("composites", "all"),
    )
    latent_step: float = _setting(
        0.0,
        "Latent step",
        "How far the latent moves along, as a fraction of the tokens' step, for this step's prediction only "
        "(0.5 in the authors' code).",
        "Refinement",
        minimum=0.0,
        maximum=2.0,
        step=0.05,
    )
    phrase_latent: str = _setting(
        "same",
        "Binding loss latent",
        "Where the binding loss compares predictions: at the image's own latent (paper), or on a trajectory of "
        "each phrase's own (the authors' code).",
        "Refinement",
        choices=("same", "own"),
    )
    loss_pooled: str = _setting(
        "prompt",
        "Pooled vector of the losses",
        "SDXL's pooled vector while the losses are computed: the prompt's own, or zeros (the authors' code).",
        "Refinement",
        choices=("prompt", "zeros"),
    )
    checkpointing: str = _setting(
        "auto",
        "Activation checkpointing",
        "Trade time for memory during refinement: when memory is short, always, or never. The picture is the same.",
        "Refinement",
        choices=("auto", "on", "off"),
    )
    every: int = _setting(
        1,
        "Refine every n-th step",
        "Only every n-th sampling step of the window is refined; 2 halves the extra cost.",
        "Refinement",
        minimum=1,
        maximum=20,
        step=1,
    )
    descent: str = _setting(
        "normalised",
        "Step",
        "Whether the step size is a fraction of the token's own length (normalised, the same on every model), or "
        "a factor of the gradient (plain, as in the authors' code). The latent's step and the binding step of "
        "separate losses are always plain.",
        "Refinement",
        choices=("normalised", "plain"),
    )
    resolution: float = _setting(
        0.5,
        "Loss resolution",
        "Height and width of the latent that the losses look at, as a fraction of the picture's. Half of it costs "
        "a quarter of the time and an eighth of the memory, at the same noise level.",
        "Refinement",
        minimum=0.25,
        maximum=1.0,
        step=0.125,
    )

    def __post_init__(self) -> None:
        """Check every value."""
        for setting in declarations():
            object.__setattr__(self, setting.name, setting.validate(getattr(self, setting.name)))
        if self.window_start > self.window_stop:
            raise SettingError(
                f"window_start = {self.window_start:g}: must not be greater than window_stop = {self.window_stop:g}"
            )

    @property
    def refines(self) -> bool:
        """Whether these settings ask for any extra UNet pass."""
        binding = self.binding_iterations > 0 and self.order == "separate"
        return self.window_stop > self.window_start and (self.iterations > 0 or binding)

    def replace(self, /, **values: object) -> Settings:
        """A copy with other values; unknown names raise :class:`SettingError` with the nearest known one."""
        for name in values:
            declaration(name)
        return dataclasses.replace(self, **values)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Value]:
        """All settings by name; :meth:`from_json` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Settings:
        """Settings from names and values. ``preset`` may name the preset that the others start from."""
        rest = dict(values)
        name = rest.pop("preset", DEFAULT_PRESET)
        return preset(name if isinstance(name, str) else repr(name)).replace(**rest)

    def changes(self) -> dict[str, Value]:
        """The values that differ from the nearest preset, with that preset's name under ``preset``."""

        def different(name: str) -> dict[str, Value]:
            base = preset(name)
            return {k: v for k, v in self.to_json().items() if v != getattr(base, k)}

        nearest = min(PRESETS, key=lambda name: len(different(name)))
        return {"preset": nearest, **different(nearest)}


def _declare(field: dataclasses.Field[Any]) -> Setting:
    kinds: dict[type, Kind] = {bool: "bool", int: "int", float: "float", str: "text"}
    kind = "choice" if "choices" in field.metadata else kinds[type(field.default)]
    return Setting(name=field.name, default=field.default, kind=kind, **field.metadata)  # type: ignore[arg-type]


_DECLARATIONS = {field.name: _declare(field) for field in dataclasses.fields(Settings)}


def declarations() -> Iterator[Setting]:
    """The declarations of all settings, in their order."""
    return iter(_DECLARATIONS.values())


def declaration(name: str) -> Setting:
    """The declaration of one setting; :class:`SettingError` suggests the nearest for an unknown name."""
    if name not in _DECLARATIONS:
        raise SettingError(f"no setting is called {name!r}{_nearest(name, _DECLARATIONS)}")
    return _DECLARATIONS[name]


def _nearest(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"


DEFAULT_PRESET = "balanced"

_REFERENCE: dict[str, Value] = {
    # The authors' published code in its object setting; METHOD, "Paper against the authors' code".
    "noun_weight": 1.1,
    "related_weight": 1.2,
    "members": "zero",
    "window_stop": 7 / 50,
    "iterations": 6,
    "step_size": 3.0,
    "descent": "plain",
    "step_decay": "linear",
    "entropy_form": "reference",
    "order": "separate",
    "binding_iterations": 3,
    "binding_step_size": 1.0,
    "binding_weight": 1e4,
    "update": "all",
    "latent_step": 0.5,
    "phrase_latent": "own",
    "loss_pooled": "zeros",
    "resolution": 1.0,
}

PRESETS: dict[str, dict[str, Value]] = {
    # Merging and end token substitution alone: no extra UNet pass.
    "fast": {"iterations": 0},
    "balanced": {},
    # What the paper says; where it is silent, as many iterations as the authors' code.
    "paper": {
        "iterations": 4,
        "step_size": 3.0,
        "descent": "plain",
        "step_decay": "constant",
        "layers": "paper",
        "resolution": 1.0,
    },
    "reference": _REFERENCE,
    # The authors' attribute setting: a shorter window, and the prompt's own end tokens.
    "reference-attributes": {**_REFERENCE, "window_stop": 5 / 50, "iterations": 4, "ets": False},
}


def preset(name: str) -> Settings:
    """The settings of a preset; :class:`SettingError` for an unknown one."""
    if name not in PRESETS:
        raise SettingError(f"preset = {name!r}: must be one of {', '.join(PRESETS)}{_nearest(name, PRESETS)}")
    return Settings(**PRESETS[name])  # type: ignore[arg-type]
