"""The preview: the words of the current prompt, coloured by object, as the chosen settings and its own tag read it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from tome_ext.hosts.webui.ui.options import Options
from tome_ext.hosts.webui.ui.shown import as_panel
from tome_ext.hosts.webui.ui.user_presets import presets
from tome_ext.prompts import GroupSyntaxError, Reading, read_prompt
from tome_ext.prompts.prompt_editing import parts
from tome_ext.prompts.tag import TagError, has_tag, read_tags, without_tags
from tome_ext.settings import SettingError, Settings

# How many texts of a prompt with AND, editing or alternation are shown, and the steps they are looked for in.
MOST_TEXTS = 8
_STEPS = 20

EMPTY = "Type a prompt first."
TEXTS = "Texts that this prompt stands for, each read on its own:"
OFF = "ToMe is off for this prompt: its tag says so."
TAGGED = "The tag in the prompt counts over the panel."
WRONG = "The tag in the prompt is left out:"


@dataclass(frozen=True)
class Preview:
    """What to show of a prompt, and what a job with it would get. ``objects``: how many are bound; None: not known."""

    html: str
    settings: Settings
    objects: int | None = None
    off: bool = False


def preview(prompt: str, styles: Sequence[str], settings: Settings) -> Preview:
    """The prompt with its styles, as ``settings`` and the tag in it say; everything the user typed is escaped."""
    text = final_prompt(prompt, styles)
    notes = []
    options = Options(enabled=True, settings=settings)
    if has_tag(text):
        try:
            options = options.with_tag(read_tags(text, tuple(presets())))  # type: ignore[arg-type]
            notes.append(TAGGED if options.enabled else OFF)
        except (TagError, SettingError) as error:
            notes.append(f"{WRONG} {error}")
    if not without_tags(text).strip():
        return Preview(_frame(prompt, settings.groups, [_note(EMPTY)]), options.settings, 0)
    if not options.enabled:
        return Preview(_frame(prompt, settings.groups, map(_note, notes)), options.settings, 0, off=True)
    try:
        readings = [_read(one, options.settings) for one in variants(text)[:MOST_TEXTS]]
    except GroupSyntaxError as error:
        shown = [*map(_note, notes), f'<pre class="tome-error">{escape(str(error))}</pre>']
        return Preview(_frame(prompt, settings.groups, shown), options.settings)
    if len(readings) > 1:
        notes.append(TEXTS)
    objects = sum(len(_read(part.variants[0].text.strip(), options.settings).groups) for part in parts(text, _STEPS))
    shown = [*map(_note, notes), *map(as_panel, readings)]
    fixed = options.settings.groups != settings.groups
    return Preview(_frame(prompt, settings.groups, shown, fixed=fixed), options.settings, objects)


def with_groups(settings: Settings, groups: str) -> Settings:
    """The same with other groups, which are not checked: the preview shows what is wrong with them."""
    return dataclasses.replace(settings, groups=groups or "")


def variants(text: str) -> list[str]:
    """The texts that a prompt with AND, editing or alternation stands for, each once."""
    return list(dict.fromkeys(variant.text.strip() for part in parts(text, _STEPS) for variant in part.variants))


def final_prompt(prompt: str, styles: Sequence[str]) -> str:
    """The prompt as the WebUI will use it: with styles, without comments."""
    from modules import shared

    text: Any = shared.prompt_styles.apply_styles_to_prompt(prompt or "", list(styles or []))
    if getattr(shared.opts, "enable_prompt_comments", False):
        try:
            from modules.processing_scripts.comments import strip_comments
        except ImportError:
            return str(text)
        text = strip_comments(text)
    return str(text)


def _read(text: str, settings: Settings) -> Reading:
    return read_prompt(
        text,
        parser=settings.parser,
        manual=settings.groups,
        clean=settings.clean_prompt,
        min_objects=settings.min_objects,
    )


def _note(text: str) -> str:
    return f'<p class="tome-note"><span>{escape(text)}</span></p>'


def _frame(prompt: str, groups: str, shown: Any, *, fixed: bool = False) -> str:
    """What was read stands beside it: the page's script compares it with what is typed by now.

    ``fixed``: clicks on words could change nothing, as the tag in the prompt has the groups. No two are equal, so that
    the page sees every answer.
    """
    return (
        f'<div class="tome-read" data-prompt="{escape(prompt or "")}" data-groups="{escape(groups or "")}" '
        f'data-fixed="{int(fixed)}" data-at="{time.time_ns()}">{"".join(shown)}</div>'
    )
