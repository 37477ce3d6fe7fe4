"""Bad captions: every fault occurs as often as it should, and nothing that merging makes is ever written."""

import numpy as np
import pytest

from tome_ext.research.miniature.training.text import compact, padded, tokenize, used_ids
from tome_ext.research.miniature.world.captions import BAG, FAULTS, Faults, caption, vocabulary
from tome_ext.research.miniature.world.things import COLOURS, SHAPES
from tome_ext.research.training.text import END, LENGTH, START
from tome_ext.research.world.scenes import Thing

THINGS = (Thing("circle", "red"), Thing("fish", "blue"))


def captions(faults, things=THINGS, count=2000):
    rng = np.random.default_rng(0)
    return [caption(things, rng, faults) for _ in range(count)]


def bound(words):
    """Whether each colour stands before its own thing; None where the words do not tell."""
    places = {word: words.index(word) for word in ("red", "circle", "blue", "fish") if word in words}
    if len(places) < 4:
        return None
    return places["circle"] == places["red"] + 1 and places["fish"] == places["blue"] + 1


def test_every_caption_names_every_thing():
    assert all("circle" in words and "fish" in words for words in captions(FAULTS))


def test_colours_are_exchanged_as_often_as_told():
    told = [bound(words) for words in captions(Faults(exchanged=0.3, bare=0, nothing=0, one=0))]
    assert None not in told
    assert np.mean([not one for one in told]) == pytest.approx(0.3, abs=0.03)


def test_a_bag_of_words_is_told_both_ways_alike():
    told = [bound(words) for words in captions(Faults(exchanged=0.5, bare=0, nothing=0, one=0))]
    assert np.mean(told) == pytest.approx(0.5, abs=0.04)
    assert BAG.exchanged == 0.5


def test_colours_are_missing_as_often_as_told():
    named = [sum(colour in words for colour in ("red", "blue")) for words in captions(FAULTS)]
    assert np.mean([count == 0 for count in named]) == pytest.approx(FAULTS.nothing, abs=0.02)
    assert np.mean([count == 1 for count in named]) == pytest.approx(FAULTS.one, abs=0.03)


def test_a_single_thing_never_has_a_wrong_colour():
    for words in captions(FAULTS, THINGS[:1], 300):
        assert {word for word in words if word in COLOURS} <= {"red"}
        assert {word for word in words if word in SHAPES} == {"circle"}


def test_the_vocabulary_holds_every_word():
    assert {word for words in captions(FAULTS) for word in words} <= {*vocabulary()}


def test_tokens_are_clips_and_captions_fit():
    for words in captions(FAULTS, count=50):
        ids = tokenize(words)
        assert ids[0] == START
        assert ids[-1] == END
        assert len(ids) <= LENGTH
        assert set(ids) <= set(used_ids())


def test_compact_ids_are_places_among_the_used_ones():
    ids = padded([tokenize(("a", "red", "circle"))])[0]
    assert np.array(used_ids())[compact(ids).numpy()].tolist() == ids.tolist()
