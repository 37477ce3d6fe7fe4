"""The paper's experiments on one harness: each is a list of arms, prompts for them, and a question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tome_ext.research import contexts
from tome_ext.research.arms import BALANCED, BENCHMARK, FAST, PLAIN, Arm
from tome_ext.research.world.prompts import Prompt, families, prompt_of
from tome_ext.settings import preset

_FAST, _BALANCED = preset("fast").replace(ets="on", related_weight=1.0), preset("balanced").replace(ets="on")


@dataclass(frozen=True)
class Experiment:
    """One experiment: the question it answers, its arms, and what makes its prompts from their number."""

    name: str
    question: str
    arms: tuple[Arm, ...]
    prompts: Callable[[int, int], list[Prompt]]


def _of(*names: str) -> Callable[[int, int], list[Prompt]]:
    """The prompts of some families."""

    def made(count: int, seed: int) -> list[Prompt]:
        return [prompt for prompt in families(count, seed) if not names or prompt.family in names]

    return made


def lengths(count: int, seed: int) -> list[Prompt]:
    """The same pairs of things in prompts of growing length."""
    pairs = _of("two colours, held out")(count, seed)
    return [prompt_of(pair.things, f"{clauses} clauses", clauses=clauses) for clauses in (0, 2, 4, 8) for pair in pairs]


def weights() -> tuple[Arm, ...]:
    """Merge weights around the paper's 1 and the authors' 1.1 and 1.2."""
    pairs = ((1.0, 0.6), (1.0, 0.8), (1.0, 1.0), (1.1, 1.2), (1.0, 1.5), (0.7, 1.0), (0.5, 0.5))
    return tuple(
        Arm(f"noun {noun:g}, attributes {related:g}", _FAST.replace(noun_weight=noun, related_weight=related))
        for noun, related in pairs
    )


def _windows() -> tuple[Arm, ...]:
    spans = ((0.0, 0.1), (0.0, 0.2), (0.1, 0.3), (0.3, 0.5))
    return tuple(
        Arm(f"{100 * start:.0f}–{100 * stop:.0f} %", _BALANCED.replace(window_start=start, window_stop=stop))
        for start, stop in spans
    )


def _shortcuts() -> tuple[Arm, ...]:
    """`paper`, and each saving on its own; larger steps where there are fewer of them."""
    full = preset("paper")
    return (
        Arm("paper", full),
        Arm("2 iterations", full.replace(iterations=2)),
        Arm("1 iteration", full.replace(iterations=1)),
        Arm("1 normalised iteration", full.replace(iterations=1, descent="normalised", step_size=0.1)),
        Arm("every other step", full.replace(every=2)),
        Arm("half the size", full.replace(resolution=0.5)),
        Arm("balanced", _BALANCED),
        Arm("merging and ETS", _FAST),
    )


_PAIRS = _of("two colours, seen", "two colours, held out")
_WITHOUT_ETS = _BALANCED.replace(ets="off")

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment("benchmark", "Does merging bind attributes, at the cost of objects or not?", BENCHMARK, _of()),
    Experiment(
        "additivity",
        "Is the sum of two words' tokens the thing that both describe? Is one composite token enough?",
        (
            Arm("phrase", context=contexts.phrase),
            Arm("clean prompt", context=contexts.clean),
            Arm("sum of words", context=contexts.word_sum),
            Arm("composite alone", context=contexts.composite_alone),
        ),
        _of("one thing"),
    ),
    Experiment(
        "leakage",
        "How much do single tokens and end tokens know of the other thing's attributes, with and without ETS?",
        (
            Arm("full prompt", context=contexts.phrase),
            Arm("[noun] alone", context=contexts.noun_alone),
            Arm("[EOT] alone", context=contexts.ends_alone),
            Arm("full prompt, ETS", context=contexts.substituted),
            Arm("[EOT] alone, ETS", context=contexts.clean_ends_alone),
        ),
        _of("two colours, seen", "two wearing, seen"),
    ),
    Experiment("layout", "Which steps decide the layout?", (FAST, *_windows()), _PAIRS),
    Experiment(
        "ablation",
        "What does each component do?",
        (
            Arm("A plain"),
            Arm("B merging and ETS", _FAST),
            Arm("C B + entropy", _BALANCED.replace(binding_weight=0.0)),
            Arm("D entropy + binding to the bare noun, no merging", _WITHOUT_ETS, unmerged=True),
            Arm("E entropy, no merging", _WITHOUT_ETS.replace(binding_weight=0.0), unmerged=True),
            Arm("F B + binding", _BALANCED.replace(entropy_weight=0.0)),
            Arm("full", _BALANCED),
            Arm("full without ETS", _WITHOUT_ETS),
        ),
        _PAIRS,
    ),
    Experiment(
        "objects",
        "How does the number of things matter?",
        (PLAIN, FAST, BALANCED),
        _of("one thing", "two colours, seen", "three colours, seen"),
    ),
    Experiment("length", "How does the prompt's length matter?", (PLAIN, FAST, BALANCED), lengths),
    Experiment("shortcuts", "What does each saving of `balanced` cost in quality?", _shortcuts(), _PAIRS),
    Experiment("weights", "Which weights should nouns and attributes have in the sum?", (PLAIN, *weights()), _PAIRS),
    Experiment(
        "encoders",
        "What does each of the two text encoders contribute?",
        (
            PLAIN,
            *(Arm(f"encoder {n}", context=contexts.one_encoder(n, None)) for n in (1, 2)),
            FAST,
            *(Arm(f"encoder {n}, merging and ETS", context=contexts.one_encoder(n, _FAST)) for n in (1, 2)),
        ),
        _PAIRS,
    ),
)


def experiment(name: str) -> Experiment:
    """The experiment called ``name``; KeyError for an unknown one."""
    return {one.name: one for one in EXPERIMENTS}[name]


def chosen_arms(one: Experiment, names: Sequence[str]) -> tuple[Arm, ...]:
    """The experiment's arms of these names, all for none; ValueError for an unknown name."""
    known = {arm.name: arm for arm in one.arms}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"{one.name} has no arm {unknown[0]!r}; it has {', '.join(known)}")
    return tuple(known[name] for name in names) or one.arms
