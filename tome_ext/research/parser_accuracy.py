"""Accuracy and speed of both parsers: ``python -m tome_ext.research.parser_accuracy --golden FILE --compbench FOLDER``.

``--gold``: a JSON line for each prompt, ``{"text": …, "expected": [{"noun": …, "related": [words]}]}``: what is right,
what is missed, and what is bound to another of the listed nouns, each for itself.

``--golden``: recorded prompts with the groups that must be found (``tests/golden/prompts.json``). ``--compbench``: a
folder with T2I-CompBench lists; lines "a A N and a B M" count, every third line is held out and only counted with
``--held-out``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tome_ext.prompts import Reading, read_prompt
from tome_ext.prompts.spacy_parser import load as spacy_parser

# Words that may be in or out of a sub-object phrase.
SMALL = frozenset(("a", "an", "the", "with", "wearing", "that", "is"))
_HALF = re.compile(r"an? (\w+) (\w+(?: \w+)*)")
_NOT_SIMPLE = frozenset(("with", "in", "on", "of", "wearing"))
Key = tuple[tuple[int, int], tuple[tuple[int, int], ...]]


def found(reading: Reading) -> set[Key]:
    """The groups of a reading as spans, without small words."""
    return {
        (
            (g.noun.start, g.noun.end),
            tuple((s.start, s.end) for s in g.related if s.text.lower() not in SMALL),
        )
        for g in reading.groups
    }


def wanted(prompt: dict[str, Any]) -> set[Key]:
    """The groups of a recorded prompt, in the same form."""
    return {
        (
            (g["noun"][0], g["noun"][1]),
            tuple((r["span"][0], r["span"][1]) for r in g["related"] if r["text"].lower() not in SMALL),
        )
        for g in prompt["groups"]
    }


def same_clean(one: str, other: str) -> bool:
    """Whether two clean prompts agree up to articles and spacing."""

    def bare(text: str) -> str:
        return "".join(re.sub(r"\b(?:an?|the)\b", "", text, flags=re.IGNORECASE).split()).lower()

    return bare(one) == bare(other)


def simple_pair(line: str) -> list[tuple[str, list[str]]] | None:
    """The two groups of "a A N and a B M", None for another line."""
    halves = line.strip().rstrip(".").split(" and ")
    matches = [_HALF.fullmatch(half) for half in halves]
    if len(matches) != 2 or _NOT_SIMPLE & set(line.split()):
        return None
    return [(m.group(2), [m.group(1)]) for m in matches if m] if all(matches) else None


def golden(path: Path, parser: str) -> None:
    """Print groups, inventions and clean prompts per family."""
    right, total, cleans, prompts = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    invented, seconds = 0, 0.0
    for prompt in json.loads(path.read_text(encoding="utf-8"))["prompts"]:
        start = time.perf_counter()
        reading = read_prompt(prompt["text"], parser=parser)
        seconds += time.perf_counter() - start
        family, must = prompt["family"], wanted(prompt)
        right[family] += len(must & found(reading))
        total[family] += len(must)
        invented += len(reading.groups) if family == "none" else 0
        prompts[family] += 1
        cleans[family] += same_clean(reading.clean, prompt["clean"])
    for family in prompts:
        share = f"{right[family]}/{total[family]}" if total[family] else "-"
        print(f"  {family:12} groups {share:>8}   clean prompts {cleans[family]}/{prompts[family]}")
    n = sum(prompts.values())
    print(f"  all: {sum(right.values()) / sum(total.values()):.1%} of the groups, {invented} invented in 'none'")
    print(f"  {seconds / n * 1000:.2f} ms a prompt")


def compbench(folder: Path, parser: str, held_out: bool) -> None:
    """Print the share of simple lines read exactly, per list."""
    for path in sorted(folder.glob("*.txt")):
        right = total = 0
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            pair = simple_pair(line)
            if pair is None or (number % 3 == 2) != held_out:
                continue
            reading = read_prompt(line.strip(), parser=parser, syntax="plain")
            total += 1
            right += [(g.noun.text, [s.text for s in g.related]) for g in reading.groups] == pair
        if total:
            print(f"  {path.name:24} {right}/{total} = {right / total:.1%}")


def judged(reading: Reading, expected: list[dict[str, Any]]) -> tuple[int, int]:
    """How many of the expected pairs are found, and how many of their words stand with another expected noun."""
    nouns = [e["noun"].lower() for e in expected]
    groups = []
    for g in reading.groups:
        words = " ".join([g.noun.text, *(s.text for s in g.related), *(t.text for t in g.extra)]).lower().split()
        groups.append((g.noun.text.lower(), Counter(words)))
    right = 0
    for e in expected:
        want = Counter(" ".join([e["noun"], *e["related"]]).lower().split())
        right += any(not want - words for _, words in groups)
    owners: dict[str, set[str]] = {}
    for e in expected:
        for word in e["related"]:
            owners.setdefault(word.lower(), set()).add(e["noun"].lower())
    wrong = 0
    for noun, counted in groups:
        others = [n for n in nouns if n.split()[-1] == noun.split()[-1]]
        wrong += sum(bool(others) and not owners[w] & set(others) for w in counted if w in owners)
    return right, wrong


def gold(path: Path, parser: str) -> None:
    """Print the pairs that are right, missed and bound to another listed noun."""
    right = wrong = total = prompts = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        hits, elsewhere = judged(read_prompt(entry["text"], parser=parser), entry["expected"])
        prompts, total = prompts + 1, total + len(entry["expected"])
        right, wrong = right + hits, wrong + elsewhere
    print(f"  {path.name}: {prompts} prompts, {right}/{total} pairs right, {total - right} missed, {wrong} elsewhere")


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark."""
    arguments = argparse.ArgumentParser(prog="python -m tome_ext.research.parser_accuracy", description=__doc__)
    arguments.add_argument("--golden", type=Path)
    arguments.add_argument("--compbench", type=Path)
    arguments.add_argument("--gold", type=Path, nargs="+", default=[])
    arguments.add_argument(
        "--held-out", action="store_true", help="the held-out third of the lists instead of the rest"
    )
    args = arguments.parse_args(argv)
    if args.golden is None and args.compbench is None and not args.gold:
        arguments.error("give --golden, --compbench or --gold")
    for parser in ("builtin", "spacy"):
        nlp, problem = spacy_parser.load() if parser == "spacy" else (None, "")
        if parser == "spacy" and nlp is None:
            print(f"spacy: not measured, {problem}")
            continue
        start = time.perf_counter()
        read_prompt("a red book", parser=parser)
        print(f"{parser}: first prompt {(time.perf_counter() - start) * 1000:.0f} ms")
        if args.golden is not None:
            golden(args.golden, parser)
        if args.compbench is not None:
            compbench(args.compbench, parser, args.held_out)
        for path in args.gold:
            gold(path, parser)
    return 0


if __name__ == "__main__":
    sys.exit(main())
