"""Make ``tome_ext/embedded/lexicon.txt.gz`` from the Princeton WordNet 3.0 database files.

Usage: ``python tome_ext/embedded/make_lexicon.py WORDNET_DICT`` where WORDNET_DICT is the folder that holds
``data.noun``, ``index.noun``, ``cntlist.rev`` and so on (Debian: package ``wordnet-base``).

The result is a plain text, one line per class of words: ``CODE<TAB>word word ...``. A code is a list of
part-of-speech letters with a frequency digit (``n5v2`` = mostly a noun, sometimes a verb; digits are
log2 of the count in WordNet's tagged texts), then ``:`` and the flags of the noun:
``p`` person or animal, ``w`` can be worn, ``b`` body part or part of a thing, ``l`` place, ``m`` material,
``v`` vehicle or piece of furniture, ``t`` a thing of any kind, geometric figures among them; a noun without a flag
cannot be seen. Special codes hold irregular nouns and verbs (``=n``, ``=v``: ``form>lemma``) and fixed phrases (``+``
``teddy_bear``).
"""

from __future__ import annotations

import gzip
import math
import re
import sys
from collections import defaultdict
from pathlib import Path

POS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
NUMBER = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
WORD = re.compile(r"[a-z]{2,18}")
# Noun synsets whose descendants get a flag: (lemma, sense number).
ROOTS = {
    "w": [
        ("clothing", 1),
        ("garment", 1),
        ("jewelry", 1),
        ("headdress", 1),
        ("spectacles", 1),
        ("armor", 1),
        ("footwear", 1),
        ("footwear", 2),
        ("body_armor", 1),
        ("adornment", 1),
        ("mask", 1),
        ("mask", 4),
        ("hairpiece", 1),
        ("watch", 1),
        ("belt", 2),
        ("helmet", 1),
        ("uniform", 1),
        ("goggles", 1),
        ("earphone", 1),
    ],
    "p": [("person", 1), ("animal", 1), ("spiritual_being", 1)],
    "b": [("body_part", 1), ("external_body_part", 1)],
    "l": [
        ("structure", 1),
        ("room", 1),
        ("way", 6),
        ("body_of_water", 1),
        ("geological_formation", 1),
        ("land", 4),
        ("location", 1),
        ("tract", 1),
        ("vegetation", 1),
    ],
    "v": [("vehicle", 1), ("furniture", 1), ("white_goods", 1)],
    "t": [("plane_figure", 1), ("solid", 3), ("round_shape", 1)],
}
NOT_PLACES = [
    ("bench", 1),
    ("fence", 1),
    ("door", 1),
    ("column", 1),
    ("statue", 1),
    ("roof", 1),
    ("canopy", 1),
    ("partition", 1),
    ("plumbing_fixture", 1),
    ("supporting_structure", 1),
    ("building_complex", 1),
    ("body_part", 1),
]
THINGS = {
    "noun.artifact",
    "noun.object",
    "noun.food",
    "noun.plant",
    "noun.substance",
    "noun.body",
    "noun.animal",
    "noun.person",
}
LEX = {
    "05": "noun.animal",
    "06": "noun.artifact",
    "08": "noun.body",
    "13": "noun.food",
    "15": "noun.location",
    "17": "noun.object",
    "18": "noun.person",
    "20": "noun.plant",
    "27": "noun.substance",
    "25": "noun.shape",
    "19": "noun.phenomenon",
}


class WordNet:
    """The parts of WordNet that the lexicon needs."""

    def __init__(self, folder: Path) -> None:
        self.senses: dict[str, list[str]] = {}
        self.lexname: dict[str, str] = {}
        self.parents: dict[str, list[str]] = {}
        self.is_part: set[str] = set()
        self.proper: set[str] = set()
        self.words: dict[str, set[str]] = defaultdict(set)
        self.counts: dict[tuple[str, str], int] = defaultdict(int)
        self.sense_counts: dict[tuple[str, int], int] = defaultdict(int)
        self.exceptions: list[tuple[str, str, str]] = []
        self._read_index(folder)
        self._read_nouns(folder / "data.noun")
        self._read_counts(folder / "cntlist.rev")
        for pos in ("noun", "verb"):
            for line in (folder / f"{pos}.exc").read_text().splitlines():
                form, lemma = line.split()[:2]
                self.exceptions.append((pos[0], form, lemma))

    def _read_index(self, folder: Path) -> None:
        for letter, name in POS.items():
            for line in (folder / f"index.{name}").read_text().splitlines():
                if line.startswith(" "):
                    continue
                fields = line.split()
                self.words[fields[0]].add(letter)
                if letter == "n":
                    self.senses[fields[0]] = fields[-int(fields[2]) :]

    def _read_nouns(self, path: Path) -> None:
        cased: dict[str, list[bool]] = defaultdict(list)
        for line in path.read_text().splitlines():
            if line.startswith(" "):
                continue
            f = line.split(" | ")[0].split()
            self.lexname[f[0]] = f[1]
            n = int(f[3], 16)
            for k in range(n):
                word = f[4 + 2 * k]
                cased[word.lower()].append(word != word.lower())
            pointers = f[4 + 2 * n + 1 :]
            self.parents[f[0]] = [pointers[i + 1] for i in range(0, len(pointers), 4) if pointers[i] in ("@", "@i")]
            self.is_part.update(pointers[i + 1] for i in range(0, len(pointers), 4) if pointers[i] == "%p")
        self.proper = {w for w, flags in cased.items() if all(flags)}

    def _read_counts(self, path: Path) -> None:
        for line in path.read_text().splitlines():
            key, sense, count = line.split()
            lemma, rest = key.split("%")
            self.counts[lemma, NUMBER[rest[0]]] += int(count)
            if rest[0] == "1":
                self.sense_counts[lemma, int(sense)] = int(count)

    def synset(self, lemma: str, sense: int) -> str:
        """The number of a noun's sense, counted from 1."""
        return self.senses[lemma][sense - 1]

    def ancestors(self, synset: str) -> set[str]:
        """A synset and everything above it."""
        seen, todo = set(), [synset]
        while todo:
            s = todo.pop()
            if s not in seen:
                seen.add(s)
                todo += self.parents.get(s, [])
        return seen


def flags(wn: WordNet, word: str, roots: dict[str, set[str]]) -> str:
    """Letters for what the usual senses of a noun are."""
    senses = wn.senses.get(word, [])
    weights = [wn.sense_counts[word, k + 1] for k in range(len(senses))]
    total = sum(weights)
    usual = [
        s for k, s in enumerate(senses) if k == 0 or (k < 6 and (weights[k] * 8 >= total > 0 or (k < 3 and total < 3)))
    ]
    out = set()
    for k, s in enumerate(usual):
        up = wn.ancestors(s)
        name = LEX.get(wn.lexname[s], "")
        if k == 0 and up & roots["p"]:
            out.add("p")
        if up & roots["w"]:
            out.add("w")
        if up & roots["v"] and k == 0:
            out.add("v")
        if k == 0 and not up & roots["not_l"] and (name == "noun.location" or up & roots["l"]) and not up & roots["w"]:
            out.add("l")
        if k == 0 and name == "noun.substance":
            out.add("m")
        if name == "noun.body" or up & roots["b"] or (k == 0 and s in wn.is_part and name == "noun.artifact"):
            out.add("b")
        if name in THINGS or (k == 0 and up & roots["t"]):
            out.add("t")
    return "".join(sorted(out))


def digit(count: int) -> int:
    """A frequency from 1 (never counted) to 9."""
    return min(9, int(math.log2(count + 1)) + 1)


def main(folder: Path, target: Path) -> None:
    """Write the lexicon."""
    wn = WordNet(folder)
    roots = {
        k: {wn.synset(*x) for x in v if x[0] in wn.senses and x[1] <= len(wn.senses[x[0]])} for k, v in ROOTS.items()
    }
    roots["not_l"] = {wn.synset(*x) for x in NOT_PLACES}
    lines: dict[str, list[str]] = defaultdict(list)
    for word, poses in wn.words.items():
        nominal = "n" in poses and word not in wn.proper
        kept = [p for p in "nvar" if p in poses and (p != "n" or nominal)]
        if not kept:
            continue
        if WORD.fullmatch(word):
            code = "".join(f"{p}{digit(wn.counts[word, p])}" for p in kept)
            lines[code + ":" + (flags(wn, word, roots) if nominal else "")].append(word)
        elif nominal and re.fullmatch(r"[a-z]{2,12}(_[a-z]{2,12}){1,2}", word):
            parts = word.split("_")
            lex = LEX.get(wn.lexname[wn.senses[word][0]], "")
            known = wn.counts[parts[-1], "n"] > 0
            ambiguous = (
                "n" not in wn.words.get(parts[0], ())
                or bool({"a", "v"} & wn.words.get(parts[0], set()))
                or bool("v" in wn.words.get(parts[-1], ()))
            )
            if lex in THINGS and lex not in ("noun.substance",) and ambiguous and known and "of" not in parts:
                lines["+"].append(word)
    for pos, form, lemma in wn.exceptions:
        if WORD.fullmatch(form) and WORD.fullmatch(lemma) and lemma in wn.words and form != lemma:
            lines["=" + pos].append(f"{form}>{lemma}")
    text = "".join(f"{code}\t{' '.join(sorted(words))}\n" for code, words in sorted(lines.items()))
    target.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(
        f"{target}: {sum(map(len, lines.values()))} words, {target.stat().st_size} bytes; phrases {len(lines['+'])}, "
        f"irregular {len(lines['=n']) + len(lines['=v'])}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).with_name("lexicon.txt.gz"))
