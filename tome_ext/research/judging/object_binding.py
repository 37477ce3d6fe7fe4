"""The object-binding benchmark: 50 prompts, a rubric of nine levels, and a vision-language model that applies it.

The template is the paper's, "a [objectA] with a [itemA] and a [objectB] with a [itemB]"; the words are our own.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tome_ext.hosts.common.http import request_json
from tome_ext.research.files import write_text
from tome_ext.settings import short

OBJECTS = ("cat", "dog", "rabbit", "bear", "fox", "owl", "robot", "boy", "girl", "monkey", "panda", "tiger")
ITEMS = (
    "hat",
    "scarf",
    "crown",
    "backpack",
    "necklace",
    "balloon",
    "umbrella",
    "flower",
    "ribbon",
    "helmet",
    "lantern",
)

# Score: what the picture shows (paper, appendix).
RUBRIC = {
    100.0: "both subjects have their own item, and only that",
    87.5: "both subjects have their own item; one of them also has the other's",
    75.0: "both subjects have their own item; both also have the other's",
    62.5: "one subject has its own item; the other has only the wrong one",
    50.0: "one subject has its own item; the other has none",
    37.5: "no subject has its own item; one of them has the other's",
    25.0: "both subjects are there, without any of the items",
    12.5: "one of the subjects is missing",
    0.0: "both subjects are missing",
}


@dataclass(frozen=True)
class Pair:
    """A prompt's two subjects, each with its item."""

    first: tuple[str, str]
    second: tuple[str, str]

    @property
    def prompt(self) -> str:
        """The template, filled in."""
        (a, item_a), (b, item_b) = self.first, self.second
        return f"{_a(a)} with {_a(item_a)} and {_a(b)} with {_a(item_b)}"

    @property
    def groups(self) -> str:
        """Which words belong together."""
        return "; ".join(f"{subject}: with {item}" for subject, item in (self.first, self.second))

    @property
    def clean(self) -> str:
        """The prompt without the items."""
        return f"{_a(self.first[0])} and {_a(self.second[0])}"


def prompts(count: int = 50, seed: int = 0) -> list[Pair]:
    """``count`` different prompts, the same for the same seed; no subject or item twice in one."""
    rng = np.random.default_rng((seed, 5))
    found: dict[str, Pair] = {}
    while len(found) < count:
        a, b = rng.choice(len(OBJECTS), 2, replace=False)
        i, j = rng.choice(len(ITEMS), 2, replace=False)
        pair = Pair((OBJECTS[a], ITEMS[i]), (OBJECTS[b], ITEMS[j]))
        found.setdefault(pair.prompt, pair)
    return list(found.values())


def question(pair: Pair) -> str:
    """What the judge is asked."""
    levels = "\n".join(f"{score:g}: {text}" for score, text in RUBRIC.items())
    return (
        f'The picture was made for: "{pair.prompt}". The first subject is the {pair.first[0]} with its '
        f"{pair.first[1]}, the second the {pair.second[0]} with its {pair.second[1]}.\n"
        f"Choose the one level that describes the picture:\n{levels}\n"
        "Say in one sentence what each subject has. Then end with a line of the form: Score: NUMBER"
    )


# "Score: 87.5", "The score is 50/100", "Score (0-100) = 25"; not a range, and not the beginning of a longer number.
_SCORE = re.compile(
    r"\bscore\s*(?:\([^()]{0,40}\)\s*)?(?:is\b\s*[:=]?|[:=])\s*(\d+(?:\.\d+)?)(?!\.?\d)"
    r"(?!\s*(?:[-–]|to\b|or\b|/(?!\s*100\b))\s*\d)",
    re.IGNORECASE,
)


def read_score(answer: str) -> float | None:
    """The level on the last line of an answer that has a score; None where there is none, or none of the nine."""
    found = [number for line in answer.splitlines() for number in _SCORE.findall(line.replace("*", ""))]
    score = float(found[-1]) if found else -1.0
    return score if score in RUBRIC else None


class NoAnswerError(Exception):
    """The endpoint answered without any text; nothing is kept, so that a later run asks again."""


class Judge:
    """A vision-language model behind an endpoint in OpenAI's form; ``cache`` keeps its answers, scored or not.

    ``key``: sent as a bearer token. ``tries``: how often an endpoint that is busy or failing is asked at most.
    """

    def __init__(self, url: str, model: str, cache: Path, key: str = "", seconds: float = 120, tries: int = 6) -> None:
        self._url, self._model, self._cache, self._key = f"{url.rstrip('/')}/chat/completions", model, cache, key
        self._seconds, self._tries = seconds, tries

    def score(self, image: Image.Image, pair: Pair) -> float | None:
        """The level of one picture; None for an answer without one.

        Raises NoAnswerError for an answer without text, and OSError where nobody answers.
        """
        asked = question(pair)
        pixels = io.BytesIO()
        image.convert("RGB").save(pixels, format="PNG")
        name = hashlib.sha256(self._model.encode() + b"\0" + asked.encode() + b"\0" + pixels.getvalue()).hexdigest()
        path = self._cache / f"{name[:32]}.json"
        answer = _kept(path)
        if answer is None:
            answer = self._ask(asked, pixels.getvalue())
            write_text(path, json.dumps({"prompt": pair.prompt, "answer": answer}))
        return read_score(answer)

    def _ask(self, asked: str, picture: bytes) -> str:
        url = "data:image/png;base64," + base64.b64encode(picture).decode()
        content = [{"type": "text", "text": asked}, {"type": "image_url", "image_url": {"url": url}}]
        body = {"model": self._model, "temperature": 0, "messages": [{"role": "user", "content": content}]}
        reply = request_json(self._url, body, seconds=self._seconds, key=self._key, tries=self._tries)
        return text_of(reply)


def text_of(reply: Any) -> str:
    """The text of an endpoint's reply; NoAnswerError where it has none, as with refusals and error messages."""
    try:
        content = reply["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError) as error:
        raise NoAnswerError(f"the judge's reply has no answer: {short(reply)}") from error
    if isinstance(content, list):  # text in parts
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    if not isinstance(content, str) or not content.strip():
        raise NoAnswerError(f"the judge's answer has no text: {short(content)}")
    return content


def _kept(path: Path) -> str | None:
    """The answer that a file of the cache holds; None where there is none to use."""
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))["answer"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return answer if isinstance(answer, str) and answer.strip() else None


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
