"""Tags in the prompts of a job: what they ask for, image by image, and what the host is told about them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any

from tome_ext.hosts.webui.ui.options import Options
from tome_ext.hosts.webui.ui.user_presets import presets
from tome_ext.prompts.tag import TagError, has_tag, read_tags
from tome_ext.settings import SettingError

NAME = "tome"
LEFT_OUT = "the tag in the prompt was left out"
# The host removes a tag from the prompt only where there is something behind its colon.
_BARE = re.compile(r"<tome:?>", re.IGNORECASE)
_SPELT_OUT = f"<{NAME}:on>"


def register() -> None:
    """Tell the WebUI that ``<tome:...>`` is an extra network, so that it does not call it unknown."""
    from modules import extra_networks

    class ToMe(extra_networks.ExtraNetwork):  # type: ignore[misc]
        """The tag. What it says is read before each batch, when every prompt still has its own."""

        def __init__(self) -> None:
            super().__init__(NAME)

        def activate(self, p: Any, params_list: Any) -> None:
            """Nothing: see above."""

        def deactivate(self, p: Any) -> None:
            """Nothing."""

    known = getattr(extra_networks, "extra_network_registry", {})
    if NAME not in known:
        extra_networks.register_extra_network(ToMe())


def tagged(p: Any, prompts: Sequence[str]) -> bool:
    """Whether any prompt of the batch, or of its second pass, has a tag."""
    return any(map(has_tag, (*prompts, *_second(p, len(prompts)))))


def spell_out(p: Any, prompts: list[str]) -> None:
    """Write ``<tome>`` in full wherever the job keeps its prompts, so that the host takes it out of them itself."""
    for kept in (prompts, getattr(p, "prompts", None), getattr(p, "all_prompts", None), _all_second(p)):
        if isinstance(kept, list):
            kept[:] = [_BARE.sub(_SPELT_OUT, text) for text in kept]
    for name in ("main_prompt", "hr_prompt"):
        text = getattr(p, name, None)
        if isinstance(text, str) and _BARE.search(text):
            with contextlib.suppress(AttributeError):
                setattr(p, name, _BARE.sub(_SPELT_OUT, text))


def asked(
    p: Any, prompts: Sequence[str], base: Options
) -> tuple[list[Options | None], list[Options | None], list[str]]:
    """The options of each image in the first pass and in that of hires fix, and what is wrong with tags.

    None: without ToMe. ``base``: what the panel or the request says. A prompt whose tag is wrong has that as well.
    """
    problems: list[str] = []
    known = tuple(presets())
    first = [_with_tag(prompt, base, known, problems) for prompt in prompts]
    second = list(first)
    for number, prompt in enumerate(_second(p, len(prompts))):
        if has_tag(prompt):
            second[number] = _with_tag(prompt, base, known, problems)
    return (
        [own if own.enabled else None for own in first],
        [own if own.enabled else None for own in second],
        list(dict.fromkeys(problems)),
    )


def _with_tag(prompt: str, base: Options, known: Sequence[str], problems: list[str]) -> Options:
    try:
        tag = read_tags(prompt, known)
        return base if tag is None else base.with_tag(tag)
    except (TagError, SettingError) as error:
        problems.append(f"{LEFT_OUT}: {error}")
        return base


def _all_second(p: Any) -> Any:
    return getattr(p, "all_hr_prompts", None) if getattr(p, "enable_hr", False) else None


def _second(p: Any, images: int) -> list[str]:
    """The prompts of the second pass of hires fix for the batch that begins."""
    kept = _all_second(p)
    if not isinstance(kept, list):
        return []
    start = getattr(p, "iteration", 0) * images if len(kept) > images else 0
    return [text for text in kept[start : start + images] if isinstance(text, str)]
