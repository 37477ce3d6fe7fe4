"""A job's tokens, against vectors written by hand: token i of a prompt is the number i, of a clean one 1000 + i."""

from __future__ import annotations

import pytest
import torch

from tome_ext.method.composition import Encoded, compose, pooled, substitute_ends, word_embedding
from tome_ext.prompts import Group, Span, Term
from tome_ext.settings import Settings, preset
from tome_ext.tokens import Located, LocatedGroup

NOWHERE = Span(0, 1, "x")


def numbers(first: int, chunks: int = 1) -> torch.Tensor:
    return torch.arange(float(first), float(first) + 77 * chunks)[:, None]


def group(noun, related=(), extra=(), strength=1.0):
    """``related``: the positions of each word; ``extra``: (weight, positions) of each term, a name for one outside."""
    terms = tuple(
        Term(places if isinstance(places, str) else "x", None if isinstance(places, str) else NOWHERE, weight)
        for weight, places in extra
    )
    where = tuple(() if isinstance(places, str) else tuple(places) for _, places in extra)
    made = Group(NOWHERE, (NOWHERE,) * len(related), "", terms, strength=strength)
    return LocatedGroup(made, tuple(noun), tuple(map(tuple, related)), where)


# BOS(0) a(1) red(2) cat(3) and(4) a(5) blue(6) dog(7) EOT(8); clean: BOS(0) a(1) cat(2) and(3) a(4) dog(5) EOT(6)
CAT, DOG = group([(0, 3)], [[(0, 2)]]), group([(0, 7)], [[(0, 6)]])


def full(**values):
    """The defaults with the paper's weights."""
    return Settings(**{"related_weight": 1.0, **values})


def encoded(groups=(CAT, DOG), end=8, clean_end=6, **more):
    given = {"conditioning": numbers(0), "clean": numbers(1000), "clean_ends": (clean_end,)}
    return Encoded(located=Located(tuple(groups), (end,)), **{**given, **more})


def text_of(image, settings):
    return substitute_ends(compose([image], settings), [image], settings).context[0, :, 0].tolist()


def merged(image, **settings):
    return compose([image], full(**settings)).context[0, :, 0].tolist()


def test_the_paper_sums_closes_up_and_takes_the_clean_end_tokens_where_the_eot_stands_now():
    assert text_of(encoded(), full()) == [0, 1, 2 + 3, 4, 5, 6 + 7, *range(1006, 1077)]


def test_the_authors_code_keeps_the_length_and_takes_the_clean_end_tokens_place_by_place():
    found = text_of(encoded(), preset("reference"))
    wanted = [0, 1, 0, 1.1 * 3 + 1.2 * 2, 4, 5, 0, 1.1 * 7 + 1.2 * 6, *range(1008, 1077)]
    assert found == pytest.approx(wanted)


def test_zeroed_members_take_no_word_of_a_longer_clean_prompt():
    assert text_of(encoded(clean_end=10), preset("reference"))[8:12] == [1010, 1011, 1012, 1013]


def test_without_end_token_substitution_padding_moves_up_and_its_last_vector_fills_the_end():
    assert merged(encoded()) == [0, 1, 5, 4, 5, 13, *range(8, 77), 76, 76]


def test_an_image_without_a_clean_prompt_or_without_groups_keeps_its_end_tokens():
    assert text_of(encoded(clean=None), full())[6:9] == [8, 9, 10]
    assert text_of(encoded(groups=()), full()) == [*range(77)]


@pytest.mark.parametrize(
    ("members", "text"), [("close", (1, 2, 3, 4, 5)), ("zero", (1, 2, 3, 4, 5, 6, 7))], ids=["close", "zero"]
)
def test_the_text_is_what_stands_between_bos_and_eot_after_merging(members, text):
    """The softmax of the authors' entropy loss is over these tokens: neither BOS nor EOT may be among them."""
    assert compose([encoded()], full(members=members)).text == (text,)


def test_the_text_of_every_chunk():
    image = Encoded(numbers(0, 2), Located((group([(1, 3)], [[(1, 2)]]),), (4, 5)))
    assert compose([image], full()).text == ((1, 2, 3, 78, 79, 80),)


def test_positions_and_images_of_a_batch():
    tokens = compose([encoded((CAT,)), encoded(()), encoded()], full())
    assert (tokens.image, tokens.position) == ((0, 2, 2), (2, 2, 5))
    assert tokens.composites[:, 0].tolist() == [5, 5, 13]


def test_every_token_of_a_word_counts_with_the_weight_of_its_word():
    """A noun of two tokens stands at its first; the other leaves as the attributes do."""
    image = encoded((group([(0, 4), (0, 5)], [[(0, 2), (0, 3)], [(0, 7)]]),), end=9)
    found = merged(image, noun_weight=2.0, related_weight=-1.0)
    assert found[:6] == [0, 1, 2 * (4 + 5) - 2 - 3 - 7, 6, 8, 9]


def test_a_composite_stands_at_the_first_token_of_its_noun():
    tokens = compose([encoded((group([(0, 4), (0, 5)], [[(0, 2)]]),))], full(members="zero"))
    assert tokens.position == (4,)
    assert tokens.context[0, :7, 0].tolist() == [0, 1, 0, 3, 4 + 5 + 2, 0, 6]


@pytest.mark.parametrize(("weight", "share"), [(None, 3.0), (0.0, 0.0), (-1.0, -1.0), (0.5, 0.5)])
def test_a_term_has_the_weight_that_was_written_zero_included(weight, share):
    """None is the attributes' weight; its token leaves the sequence in any case."""
    image = encoded((group([(0, 3)], extra=[(weight, [(0, 5)])]),))
    found = merged(image, related_weight=3.0)
    assert found[:7] == [0, 1, 2, 3 + share * 5, 4, 6, 7]


@pytest.mark.parametrize(("weight", "share"), [(None, 3.0), (0.0, 0.0), (-1.0, -1.0)])
def test_a_word_from_outside_is_added_with_its_weight_and_takes_no_place(weight, share):
    image = encoded((group([(0, 3)], extra=[(weight, "hat")]),), outside={"hat": torch.tensor([100.0])})
    assert merged(image, related_weight=3.0)[:6] == [0, 1, 2, 3 + share * 100, 4, 5]


def test_half_the_strength_is_half_the_way_and_nobody_leaves():
    """The attribute goes half the way to the padding that would close up, end tokens half the way to the clean ones."""
    found = text_of(encoded((CAT,)), full(strength=0.5))
    assert found[:8] == [0, 1, (2 + (76 + 1075) / 2) / 2, (3 + 5) / 2, 4, 5, 6, 7]
    assert found[8:] == [(8 + k + min(1006 + k, 1076)) / 2 for k in range(69)]


def test_the_strength_of_a_group_is_its_own():
    half = group([(0, 3)], [[(0, 2)]], strength=0.5)
    found = merged(encoded((half, DOG)))
    assert found[:7] == [0, 1, 39, 4, 4, 5, 13]


def test_above_one_the_strength_is_in_the_attributes_alone():
    found = text_of(encoded((group([(0, 3)], [[(0, 2)]], extra=[(-1.0, [(0, 5)])]),)), full(strength=1.5))
    assert found[:5] == [0, 1, 3 + 1.5 * 2 - 1.5 * 5, 4, 6]
    assert found[5:8] == [7, 1006, 1007]


def test_no_strength_no_composites():
    tokens = compose([encoded(phrases=(numbers(0), numbers(0)))], full(strength=0.0))
    assert tokens.image == ()
    assert len(tokens.phrase) == 0
    assert text_of(encoded(), full(strength=0.0)) == [*range(77)]


def test_phrases_stand_in_the_order_of_the_objects_and_shorter_ones_repeat_their_last_vector():
    images = [encoded((CAT,), phrases=(numbers(100),)), encoded((DOG,), phrases=(numbers(200, 2),))]
    phrases = compose(images, full()).phrase
    assert phrases.shape == (2, 154, 1)
    assert phrases[0, :, 0].tolist() == [*range(100, 177), *[176] * 77]
    assert phrases[1, :, 0].tolist() == [*range(200, 354)]


def test_the_hosts_conditioning_is_not_changed():
    image = encoded()
    text_of(image, full())
    assert torch.equal(image.conditioning, numbers(0))
    assert torch.equal(image.clean, numbers(1000))


def test_a_word_alone_is_the_sum_of_its_tokens_without_bos_and_eot():
    assert word_embedding(numbers(10), 3).item() == 11 + 12


@pytest.mark.parametrize(("strength", "wanted"), [(0.0, 1.0), (0.25, 3.0), (1.0, 9.0), (2.0, 9.0)])
def test_the_pooled_vector_goes_as_far_as_the_strength(strength, wanted):
    own, clean = torch.tensor([1.0]), torch.tensor([9.0])
    assert pooled(own, clean, full(strength=strength)).item() == wanted
