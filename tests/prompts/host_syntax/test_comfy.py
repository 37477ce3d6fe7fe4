"""ComfyUI's prompt language: weights, escaped brackets, embeddings, and nothing of the WebUI's."""

from __future__ import annotations

import pytest

from tome_ext.prompts import read_prompt
from tome_ext.prompts.host_syntax import Mapped, plain_text
from tome_ext.prompts.host_syntax.comfy import embeddings, fragments


def weighted(text: str) -> list[tuple[str, float]]:
    return [(one.mapped.text, round(one.weight, 4)) for one in fragments(Mapped.of(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a (red:1.3) cat", [("a ", 1.0), ("red", 1.3), (" cat", 1.0)]),
        ("a ((red)) cat", [("a ", 1.0), ("red", 1.21), (" cat", 1.0)]),
        # The number is the weight itself, whatever stands around it.
        ("((red:1.3) cat)", [("red", 1.3), (" cat", 1.1)]),
        ("((red:1.3):0.5)", [("red", 1.3)]),
        ("(a: b:2)", [("a: b", 2.0)]),
        ("(red:)", [("red:", 1.1)]),
        ("(:1.2)", [(":1.2", 1.1)]),
        ("(red:1e1)", [("red", 10.0)]),
        (r"a \(red\) cat", [("a (red) cat", 1.0)]),
        (r"(a \(b\):1.2)", [("a (b)", 1.2)]),
        # Brackets that are not paired are characters, and shift what follows.
        ("a) b (c)", [("a) b (c)", 1.0)]),
        ("(a b", [("(a b", 1.0)]),
        ("a [b] BREAK c AND d <lora:x:1>", [("a [b] BREAK c AND d <lora:x:1>", 1.0)]),
    ],
)
def test_weights_are_those_of_the_host(text, expected):
    assert weighted(text) == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("embedding:zq cat", ["zq"]),
        ("a embedding:zq, a cat", ["zq"]),
        ("a (embedding:zq:1.2)\nembedding:other.pt", ["zq", "other.pt"]),
        ("a,embedding:zq", []),
        ("embedding:", []),
    ],
)
def test_embeddings_are_found_as_the_host_finds_them(text, names):
    assert embeddings(text) == names


def test_an_embedding_is_a_word_by_its_name_and_typed_with_its_prefix():
    plain, _ = plain_text("a (embedding:mydog:1.2) runs", "comfy")
    assert plain.text == "a,mydog,runs"
    start, end = plain.typed(2, 7)
    assert "a (embedding:mydog:1.2) runs"[start:end] == "embedding:mydog"


def test_a_hand_written_group_binds_an_embedding_and_its_phrase_names_it():
    text = "a (embedding:mydog:1.2) and a red cat"
    reading = read_prompt(text, parser="builtin", manual='mydog + "hat"', syntax="comfy")
    dog = next(group for group in reading.groups if "mydog" in group.noun.text)
    assert dog.noun.text == "embedding:mydog"
    assert dog.typed_phrase == "(embedding:mydog:1.2) with hat"


def test_the_clean_prompt_loses_an_embedding_whole():
    reading = read_prompt("a cat, embedding:zq", parser="builtin", manual="cat: zq", syntax="comfy")
    assert "embedding" not in reading.clean


def test_a_phrase_keeps_weights_and_escapes_round_brackets_alone():
    text = r"a (red:1.4) cat and a dog\(s\) with [blue] hat"
    red = next(g for g in read_prompt(text, parser="builtin", syntax="comfy").groups if g.noun.text == "cat")
    assert red.typed_phrase == "a (red:1.4) cat"


def test_prompt_editing_is_plain_text():
    reading = read_prompt("a [red:green:0.5] cat", parser="builtin", syntax="comfy")
    assert not any("editing" in ignored.reason for ignored in reading.ignored)


def test_thousands_of_brackets_take_no_time_and_no_stack():
    assert plain_text("(" * 5000 + "cat" + ")" * 5000, "comfy")[0].text.strip("()") == "cat"


def test_an_embedding_belongs_to_no_word_by_itself():
    reading = read_prompt("a red cat embedding:style and a blue dog", parser="builtin", syntax="comfy")
    assert [group.noun.text for group in reading.groups] == ["cat", "dog"]
