"""The built-in parser on the recorded prompts: groups, clean prompts, nothing invented, and how fast."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.counting import calls
from tests.golden.compact import load
from tome_ext.prompts import read_prompt
from tome_ext.research.parser_accuracy import found, main, same_clean, simple_pair, wanted

DATA = load()
PROMPTS = DATA["prompts"]
FAMILIES = sorted({p["family"] for p in PROMPTS})


def test_the_recording_is_whole():
    assert (len(PROMPTS), len(DATA["schedules"])) == (192, 40)
    assert all(len(c["tokens"]) == len(c["multipliers"]) == 77 for p in PROMPTS for c in p["chunks"])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_listed_groups_are_found_exactly(family):
    missed = [
        (p["text"], wanted(p) - found(read_prompt(p["text"], parser="builtin")))
        for p in PROMPTS
        if p["family"] == family and not wanted(p) <= found(read_prompt(p["text"], parser="builtin"))
    ]
    assert not missed


@pytest.mark.parametrize("prompt", [p for p in PROMPTS if p["family"] == "none"], ids=lambda p: repr(p["text"]))
def test_nothing_is_invented(prompt):
    reading = read_prompt(prompt["text"], parser="builtin")
    assert not reading.groups
    assert reading.clean == prompt["text"]


@pytest.mark.parametrize("family", FAMILIES)
def test_clean_prompts_agree(family):
    for prompt in (p for p in PROMPTS if p["family"] == family):
        reading = read_prompt(prompt["text"], parser="builtin")
        assert same_clean(reading.clean, prompt["clean"]), (reading.clean, prompt["clean"])


def test_the_phrase_says_the_object_with_its_words():
    for prompt in PROMPTS:
        for group in read_prompt(prompt["text"], parser="builtin").groups:
            missing = Counter(group.noun.text.split()) + Counter(s.text for s in group.related)
            assert not missing - Counter(group.phrase.split()), group


def test_a_prompt_is_read_with_little_work():
    read_prompt("a red book")
    texts = [p["text"] for p in PROMPTS]
    assert calls(lambda: [read_prompt(text, parser="builtin") for text in texts]) / len(texts) < 10_000


def test_the_benchmark_counts_what_the_recording_says(tmp_path, capsys):
    lists = tmp_path / "lists"
    lists.mkdir()
    lists.joinpath("color.txt").write_text("a red book and a yellow vase\na dog runs\nan oval cup and a red hat\n")
    group = {"noun": [6, 9], "related": [{"span": [2, 5], "text": "red"}]}
    prompt = {"text": "a red cat", "clean": "a dog", "family": "x", "groups": [group]}
    golden = tmp_path / "golden.json"
    golden.write_text(json.dumps({"prompts": [prompt, prompt | {"text": "cat"}]}))
    with pytest.raises(SystemExit):
        main([])
    assert main(["--golden", str(golden)]) == 0
    assert "1/2   clean prompts 0/2" in capsys.readouterr().out
    assert main(["--compbench", str(lists)]) == 0
    assert "color.txt                1/1 = 100.0%" in capsys.readouterr().out
    assert main(["--compbench", str(lists), "--held-out"]) == 0
    assert "1/1" in capsys.readouterr().out


def test_gold_lines_are_judged_by_pair(tmp_path, capsys):
    lines = [
        {"text": "a red cat and a blue dog", "expected": [("cat", ["red"]), ("dog", ["blue"]), ("sky", ["grey"])]},
        {"text": "a red cat and a blue dog", "expected": [("cat", ["blue"]), ("dog", ["red"])]},
    ]
    for line in lines:
        line["expected"] = [{"noun": noun, "related": related} for noun, related in line["expected"]]
    path = tmp_path / "gold.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    assert main(["--gold", str(path)]) == 0
    assert "2 prompts, 2/5 pairs right, 3 missed, 2 elsewhere" in capsys.readouterr().out


def test_simple_lines_are_told_from_sentences():
    assert simple_pair("a red book and an oval coffee table") == [("book", ["red"]), ("coffee table", ["oval"])]
    assert simple_pair("A cat sits on a mat.") is None
    assert simple_pair("a red book with pages and a blue cup") is None
