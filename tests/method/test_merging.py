from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tome_ext.method.merging import (
    CHUNK,
    Composite,
    closed_up,
    composite_embedding,
    merge,
    merged_ends,
    substitute_end_tokens,
)


def conditioning(chunks=1, width=6, seed=0):
    return torch.randn(chunks * CHUNK, width, generator=torch.Generator().manual_seed(seed))


def test_a_composite_is_the_weighted_sum_of_its_tokens():
    c = conditioning()
    made = composite_embedding(c, Composite(3, ((1.1, 3), (1.1, 4), (1.2, 2))))
    assert torch.allclose(made, 1.1 * c[3] + 1.1 * c[4] + 1.2 * c[2])


def test_king_minus_man_plus_woman():
    c, man, woman = conditioning(), torch.randn(6), torch.randn(6)
    made = composite_embedding(c, Composite(1, ((1.0, 1),), ((-1.0, man), (1.0, woman))))
    assert torch.allclose(made, c[1] - man + woman, atol=1e-6)


def test_members_leave_and_the_sequence_closes_up():
    """a(1) white(2) cat(3) and(4) a(5) black(6) dog(7) EOT(8)"""
    c = conditioning()
    parts = [Composite(3, ((1, 3), (1, 2))), Composite(7, ((1, 7), (1, 6)))]
    merged, positions = merge(c, parts)
    assert positions == (2, 5)
    assert torch.equal(merged[:2], c[:2])
    assert torch.allclose(merged[2], c[2] + c[3])
    assert torch.equal(merged[3:5], c[4:6])
    assert torch.allclose(merged[5], c[6] + c[7])
    assert torch.equal(merged[6:75], c[8:77])
    assert torch.equal(merged[75:], c[76:].expand(2, -1))
    assert merged_ends([8], parts) == (6,)


def test_members_become_zero_vectors():
    c = conditioning()
    parts = [Composite(3, ((1.1, 3), (1.2, 2)))]
    merged, positions = merge(c, parts, "zero")
    assert positions == (3,)
    assert not merged[2].any()
    assert torch.equal(merged[4:], c[4:])
    assert merged_ends([8], parts, "zero") == (8,)


def test_members_before_and_behind_the_noun_in_the_second_chunk():
    c = conditioning(2)
    noun = CHUNK + 5
    merged, positions = merge(c, [Composite(noun, ((1, noun), (1, CHUNK + 3), (1, CHUNK + 7)))])
    assert positions == (noun - 1,)
    assert torch.equal(merged[:CHUNK], c[:CHUNK])
    assert torch.equal(merged[CHUNK + 5], c[CHUNK + 6])
    assert torch.equal(merged[CHUNK + 6], c[CHUNK + 8])


def test_inputs_are_not_modified():
    c, clean = conditioning(), conditioning(seed=1)
    before, clean_before = c.clone(), clean.clone()
    merged, _ = merge(c, [Composite(3, ((1, 3), (1, 2)))], "zero")
    substitute_end_tokens(merged, [8], clean, [6])
    assert torch.equal(c, before)
    assert torch.equal(clean, clean_before)


@pytest.mark.parametrize("position", [77, -1])
def test_a_position_outside_the_conditioning_is_an_error(position):
    with pytest.raises(ValueError, match=str(position)):
        merge(conditioning(), [Composite(position, ((1, position),))])


def test_a_position_in_two_composites_is_an_error():
    with pytest.raises(ValueError, match="4"):
        merge(conditioning(), [Composite(3, ((1, 3), (1, 4))), Composite(4, ((1, 4),))])


def test_end_tokens_run_on_from_the_clean_prompts_eot():
    merged, clean = conditioning(), conditioning(seed=1)
    made = substitute_end_tokens(merged, [6], clean, [6])
    assert torch.equal(made[:6], merged[:6])
    assert torch.equal(made[6:], clean[6:])


def test_a_longer_clean_prompt_repeats_its_last_vector():
    merged, clean = conditioning(), conditioning(seed=1)
    made = substitute_end_tokens(merged, [6], clean, [10])
    assert torch.equal(made[6:73], clean[10:77])
    assert torch.equal(made[73:], clean[76:].expand(4, -1))


def test_zeroed_members_take_end_tokens_position_by_position():
    merged, clean = conditioning(), conditioning(seed=1)
    made = substitute_end_tokens(merged, [10], clean, [6], "zero")
    assert torch.equal(made[:10], merged[:10])
    assert torch.equal(made[10:], clean[10:])


def test_zeroed_members_take_no_word_of_a_longer_clean_prompt():
    """Its end tokens begin at its own EOT; place by place the first ones would be words."""
    merged, clean = conditioning(), conditioning(seed=1)
    made = substitute_end_tokens(merged, [6], clean, [10], "zero")
    assert torch.equal(made[:6], merged[:6])
    assert torch.equal(made[6:73], clean[10:77])
    assert torch.equal(made[73:], clean[76:].expand(4, -1))


def test_end_tokens_of_every_chunk_with_fewer_clean_chunks():
    merged, clean = conditioning(3), conditioning(2, seed=1)
    made = substitute_end_tokens(merged, [70, 20, 5], clean, [60, 10])
    assert torch.equal(made[70:77], clean[60:67])
    assert torch.equal(made[77:97], merged[77:97])
    assert torch.equal(made[97:154], clean[77 + 10 : 77 + 67])
    assert torch.equal(made[154 + 5 :], torch.cat([clean[87:154], clean[153:].expand(5, -1)]))


@given(st.integers(1, 4), st.sets(st.integers(0, 4 * CHUNK - 1), max_size=60))
def test_closing_up_keeps_order_length_and_chunks(chunks, removed):
    removed = {p for p in removed if p < chunks * CHUNK}
    order = closed_up(chunks * CHUNK, sorted(removed))
    assert len(order) == chunks * CHUNK
    for chunk in range(chunks):
        part = order[chunk * CHUNK : (chunk + 1) * CHUNK]
        kept = [p for p in range(chunk * CHUNK, (chunk + 1) * CHUNK) if p not in removed]
        assert part[: len(kept)] == kept
        assert set(part[len(kept) :]) <= {(chunk + 1) * CHUNK - 1}
