"""Positions where it is difficult: cut words, embeddings, limits, other tokenizers, and when to give up."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tome_ext.prompts import Group, Reading, Span, Term, read_prompt
from tome_ext.prompts.host_syntax import Mapped
from tome_ext.prompts.host_syntax.a1111 import fragments
from tome_ext.tokens import Chunk, Fix, chunk_of, chunks_of_ids, first_eot, locate
from tome_ext.tokens.bpe import encode
from tome_ext.tokens.vocabulary import BOS, EOT


def chunk(tokens: list[int], pad: int = EOT, fixes: tuple[Fix, ...] = ()) -> Chunk:
    return Chunk((BOS, *tokens, EOT, *[pad] * (75 - len(tokens))), (), fixes)


def host(text: str) -> list[Chunk]:
    """The host's chunks without comma backtracking: 75 tokens each, a new chunk at every BREAK."""
    rows: list[list[int]] = [[]]
    for fragment in fragments(Mapped.of(text)):
        if fragment.is_break:
            rows.append([])
            continue
        for token in encode(fragment.mapped.text):
            if len(rows[-1]) == 75:
                rows.append([])
            rows[-1].append(token)
    if len(rows) > 1 and not rows[-1]:
        rows.pop()
    return [chunk(row) for row in rows]


def read(text: str, **options: str) -> Reading:
    return read_prompt(text, parser="builtin", **options)


def test_a_word_of_several_tokens():
    (group,) = locate(read("a turquoise-ish axolotl"), host("a turquoise-ish axolotl"), encode).groups
    tokens = encode("turquoise-ish axolotl")
    assert [p for places in group.related for p in places] + list(group.noun) == [
        (0, k + 2) for k in range(len(tokens))
    ]


def test_a_word_cut_by_a_chunk_border_has_positions_in_both():
    text = "tree " * 72 + "a red axolotl"
    pieces = len(encode("axolotl"))
    assert pieces > 2
    (group,) = locate(read(text), host(text), encode).groups
    assert group.noun == ((0, 75), *((1, k) for k in range(1, pieces)))


def test_backtracking_moves_words_to_the_next_chunk():
    first, second = encode("tree, tree,"), encode("a red cat")
    located = locate(read("tree, tree, a red cat"), [chunk(first), chunk(second)], encode)
    assert located.groups[0].positions == ((1, 3), (1, 2))
    assert located.ends == (len(first) + 1, len(second) + 1)


def test_embeddings_take_as_many_positions_as_they_have_vectors():
    text = "mystyle, a red cat"
    tokens = [0, 0, 0, *encode(", a red cat")]
    located = locate(read(text), [chunk(tokens, fixes=(Fix(0, "mystyle", 3),))], encode)
    assert located.groups[0].positions == ((0, 7), (0, 6))
    wrong = locate(read(text), [chunk(tokens, fixes=(Fix(0, "otherstyle", 3),))], encode)
    assert (wrong.groups, len(wrong.warnings)) == ((), 1)


def test_an_embedding_as_a_noun_is_all_its_vectors():
    reading = Reading("a red mycat", "x", (Group(Span(6, 11, "mycat"), (Span(2, 5, "red"),), "a red mycat"),), "")
    located = locate(reading, [chunk([*encode("a red"), 0, 0], fixes=(Fix(2, "mycat", 2),))], encode)
    assert located.groups[0].noun == ((0, 3), (0, 4))


def test_openclip_pads_with_zero():
    tokens = encode("a red cat !")
    located = locate(read("a red cat !"), [chunk(tokens, pad=0)], encode)
    assert located.groups[0].positions == ((0, 3), (0, 2))
    assert located.ends == (len(tokens) + 1,)


def test_network_tags_are_no_tokens():
    text = "a red cat <lora:x:1> and a blue dog"
    located = locate(read(text), host("a red cat  and a blue dog"), encode)
    assert [g.noun for g in located.groups] == [((0, 3),), ((0, 7),)]


def test_hosts_that_ignore_emphasis():
    text = "a (red:1.2) cat"
    located = locate(read(text), [chunk(encode(text))], encode)
    assert located.groups[0].related == (((0, 3),),)


def test_diffusers_reads_brackets_as_characters():
    text = "a (red:1.2) cat and a blue dog"
    located = locate(read(text, syntax="plain"), [[BOS, *encode(text), EOT]], encode, syntax="plain")
    assert located.groups[-1].positions == ((0, 13), (0, 12))


def test_words_past_the_limit_are_left_out_with_a_warning():
    text = "a red cat, " + "tree " * 80 + "a blue dog"
    ids = [BOS, *encode(text)[:75], EOT]
    located = locate(read(text, syntax="plain"), chunks_of_ids(ids), encode, syntax="plain")
    assert [g.group.noun.text for g in located.groups] == ["cat"]
    assert "'dog' is not bound" in located.warnings[0]
    assert "limit" in located.warnings[0]


@pytest.mark.parametrize(
    "tokens", ["a red dog", "a red cat and", "a red", "the red cat", "", "a red cat cat"], ids=lambda t: t or "empty"
)
def test_chunks_of_another_text_bind_nothing(tokens):
    located = locate(read("a red cat"), [chunk(encode(tokens))], encode)
    assert located.groups == ()
    assert "not those of the host" in located.warnings[0]
    assert located.ends == (len(encode(tokens)) + 1,)


def test_no_groups_no_warning():
    assert locate(read("a cat"), [chunk(encode("something else"))], encode).warnings == ()


def test_part_of_a_token_is_not_certain():
    reading = Reading("a redcat", "x", (Group(Span(5, 8, "cat"), (Span(2, 5, "red"),), ""),), "")
    located = locate(reading, host("a redcat"), encode)
    assert located.groups == ()
    assert "belong to other words" in located.warnings[0]


def test_two_groups_never_share_a_token():
    cat = Group(Span(6, 9, "cat"), (Span(2, 5, "red"),), "")
    dog = Group(Span(14, 17, "dog"), (Span(2, 5, "red"),), "")
    located = locate(Reading("a red cat and dog", "x", (cat, dog), ""), host("a red cat and dog"), encode)
    assert located.groups == ()
    assert len(located.warnings) == 2


def test_terms_from_outside_have_no_positions():
    text = "a dog with a hat"
    (group,) = locate(read(text, manual='dog + hat - "collar"'), host(text), encode).groups
    assert group.extra == (((0, 5),), ())
    assert isinstance(group.group.extra[1], Term)


def test_a_tokenizer_that_joins_words_is_trusted_no_further_than_it_goes():
    def joined(text: str) -> list[int]:
        return [len(text)] if text.strip() else []

    reading = read("a red cat (and:1.1) a blue dog")
    tokens = [joined("a red cat ")[0], joined("and")[0], joined(" a blue dog")[0]]
    located = locate(reading, [Chunk((BOS, *tokens, EOT))], joined)
    assert located.groups == ()
    assert all("belong to other words" in w for w in located.warnings)


def test_chunks_in_every_form():
    tokens = (BOS, 320, 0, EOT)
    embedding = SimpleNamespace(name="e", vectors=1)
    webui = SimpleNamespace(
        tokens=list(tokens), multipliers=[1.0] * 4, fixes=[SimpleNamespace(offset=1, embedding=embedding)]
    )
    expected = Chunk(tokens, (1.0,) * 4, (Fix(1, "e", 1),))
    assert chunk_of(webui) == expected
    assert chunk_of({"tokens": tokens, "multipliers": [1.0] * 4, "fixes": [[1, "e", 1]]}) == expected
    assert chunk_of(expected) is expected
    assert chunks_of_ids([1, 2]) == [Chunk((1, 2))]
    assert chunks_of_ids([[1, 2], [3]]) == [Chunk((1, 2)), Chunk((3,))]
    assert (first_eot(Chunk(tokens)), first_eot(Chunk((BOS, 1, 2)))) == (3, 2)
    assert first_eot(Chunk((EOT, 1, EOT))) == 2  # an encoder that begins with its end token


def test_tensors_of_ids():
    torch = pytest.importorskip("torch")
    assert chunks_of_ids(torch.tensor([[1, 2], [3, 4]])) == [Chunk((1, 2)), Chunk((3, 4))]


PIECES = st.sampled_from(
    [
        "a red cat",
        "(a blue dog:1.2)",
        ", ",
        " BREAK ",
        "((",
        ")",
        "[x]",
        "\\(",
        " and ",
        "été",
        "日本",
        "🎨",
        "it's",
        " 1girl ",
        "\n",
    ]
)


def parts_of(text: str, span: Span) -> list[str]:
    """What each of the host's fragments holds of a span."""
    return [
        "".join(c for c, o in zip(f.mapped.text, f.mapped.offsets, strict=True) if span.start <= o < span.end)
        for f in fragments(Mapped.of(text))
    ]


@settings(deadline=None, max_examples=200)
@given(st.one_of(st.lists(PIECES, max_size=30).map("".join), st.text(max_size=80)))
def test_every_position_holds_the_tokens_of_its_word(text):
    chunks = host(text)
    reading = read(text)
    located = locate(reading, chunks, encode)
    assert all(c.tokens[e] == EOT for c, e in zip(chunks, located.ends, strict=True))
    for group in located.groups:
        for span, places in zip((group.group.noun, *group.group.related), (group.noun, *group.related), strict=True):
            got = [chunks[c].tokens[p] for c, p in places]
            assert got == [t for part in parts_of(text, span) for t in encode(part)]


@settings(deadline=None, max_examples=200)
@given(st.lists(PIECES, max_size=12).map("".join), st.lists(st.integers(0, 49407), max_size=100))
def test_whatever_the_chunks_are_no_position_holds_another_words_token(text, tokens):
    """The host's own chunks with anything behind or in place of them."""
    for chunks in ([tokens, tokens[:3]], [*host(text), chunk(tokens[:75])], [chunk(tokens[:75]), *host(text)]):
        located = locate(read(text), chunks, encode)
        records = [chunk_of(one) for one in chunks]
        assert len(located.ends) == len(records)
        for group in located.groups:
            for c, p in group.positions:
                assert p < located.ends[c]
            for span, places in zip(group.group.related, group.related, strict=True):
                got = [records[c].tokens[p] for c, p in places]
                assert got == [t for part in parts_of(text, span) for t in encode(part)]
