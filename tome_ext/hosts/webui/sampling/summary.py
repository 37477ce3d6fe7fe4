"""What ToMe did in a job, in one line under the image."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tome_ext.hosts.common.text import EncodedPrompt
from tome_ext.hosts.webui.sampling.sampling_pass import SamplingPass
from tome_ext.prompts.groups import Group, Term

BOUND = "ToMe bound"
_MOST = 3
_PARSERS = {"builtin": "built-in parser", "spacy": "spaCy"}


@dataclass
class Summary:
    """Gathers what is said. ``seconds``: what was done beside plain sampling took; ``clock`` tells them."""

    clock: Callable[[], float] = time.monotonic
    seconds: float = 0.0
    _bound: dict[str, None] = field(default_factory=dict)
    _parsers: dict[str, None] = field(default_factory=dict)
    _refined: int = 0
    _calls: int = 0

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Work that plain sampling does not have."""
        start = self.clock()
        try:
            yield
        finally:
            self.seconds += self.clock() - start

    def add(self, done: SamplingPass) -> None:
        """A sampling pass is over."""
        if not done.calls:
            return
        for text in done.prompts:
            if text.located.groups:
                self._bound[_groups(text)] = None
                self._parsers[_PARSERS.get(text.reading.parser, text.reading.parser)] = None
        self._refined += len(done.refined)
        self._calls += done.calls

    def line(self) -> str:
        """The line; empty where nothing was bound."""
        if not self._bound:
            return ""
        shown = list(self._bound)[:_MOST]
        more = len(self._bound) - len(shown)
        what = " | ".join([*shown, *([f"{more} more"] if more else [])])
        how = f"{self._refined} of {self._calls} steps refined" if self._refined else "merged, not refined"
        return f"{BOUND} {what} ({', '.join(self._parsers)}; {how}; took {self.seconds:.1f} s)"


def _groups(text: EncodedPrompt) -> str:
    return "; ".join(_group(located.group) for located in text.located.groups)


def _group(group: Group) -> str:
    """Nearly as groups by hand have it."""
    words = ", ".join([*(span.text for span in group.related), *map(_term, group.extra)])
    strength = "" if group.strength == 1 else f"*{group.strength:g}"
    return f"{group.name or group.noun.text}{strength}: {words}"


def _term(term: Term) -> str:
    return term.text if term.weight is None else f"{term.weight:+g}*{term.text}"
