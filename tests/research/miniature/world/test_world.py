"""The miniature's world: what is held out, what is drawn, and that the judge sees it."""

import itertools

import numpy as np
import pytest

from tome_ext.research.miniature.world import judge
from tome_ext.research.miniature.world.drawing import render, silhouette
from tome_ext.research.miniature.world.things import COLOURS, HEIGHT, SHAPES, WIDTH, held_out, random_picture


def test_each_shape_has_six_partners_it_never_meets():
    partners = [sum(held_out(shape, other) for other in SHAPES if other != shape) for shape in SHAPES]
    assert partners == [6] * len(SHAPES)


def test_being_held_out_does_not_depend_on_the_order():
    assert all(held_out(a, b) is held_out(b, a) for a, b in itertools.combinations(SHAPES, 2))


@pytest.mark.parametrize("unseen", [False, True])
def test_pictures_hold_only_pairs_of_their_kind(unseen):
    rng = np.random.default_rng(0)
    pictures = [random_picture(rng, unseen=unseen) for _ in range(200)]
    pairs = [[thing.shape for thing in picture.things] for picture in pictures if len(picture.things) == 2]
    assert len(pairs) > 80
    assert all(held_out(*pair) is unseen for pair in pairs)


def test_every_shape_occurs_in_every_colour():
    rng = np.random.default_rng(0)
    met = {(thing.shape, thing.colour) for _ in range(4000) for thing in random_picture(rng).things}
    assert len(met) == len(SHAPES) * len(COLOURS)


def test_things_lie_within_the_picture_and_apart():
    rng = np.random.default_rng(1)
    for _ in range(300):
        picture = random_picture(rng)
        for place in picture.places:
            assert place.radius <= place.x <= WIDTH - place.radius
            assert place.radius <= place.y <= HEIGHT - place.radius + 1
        if len(picture.places) == 2:
            first, second = picture.places
            assert abs(first.x - second.x) > first.radius + second.radius


@pytest.mark.parametrize("shape", SHAPES)
def test_silhouettes_are_neither_empty_nor_cut(shape):
    mask = silhouette(shape, 10)
    assert 0.1 < mask.mean() < 0.8
    assert mask[0].max() == mask[-1].max() == 0


def test_the_judge_is_exact_on_renders():
    rng = np.random.default_rng(2)
    found = judge.accuracy([random_picture(rng, unseen=bool(n % 2)) for n in range(150)])
    assert found.both == found.count == 1


def test_the_judge_is_nearly_exact_in_noise():
    rng = np.random.default_rng(3)
    pictures = [random_picture(rng) for _ in range(80)]
    spoilt = judge.accuracy(pictures, lambda p: (p + rng.normal(0, 12, p.shape)).clip(0, 255).astype(np.uint8))
    assert spoilt.both > 0.97


def test_the_judge_sees_two_colours_in_one_thing():
    picture = random_picture(np.random.default_rng(4), count=1)
    made = render(picture)
    place = picture.places[0]
    thing = (made.astype(int).sum(-1) < 700) & (np.arange(WIDTH) < place.x)[None]
    made[thing] = COLOURS["green" if picture.things[0].colour != "green" else "red"]
    (seen,) = judge.look(made)
    assert len(seen.mixed) == 2


def test_the_judge_does_not_name_what_is_no_shape():
    blob = np.full((HEIGHT, WIDTH, 3), 250, np.uint8)
    blob[2:22, 2:46:3] = COLOURS["red"]
    blob[10:12, 2:46] = COLOURS["red"]
    assert [one.shape for one in judge.look(blob)] == [""]
