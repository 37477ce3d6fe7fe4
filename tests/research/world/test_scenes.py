from __future__ import annotations

import numpy as np
import pytest

from tests.counting import calls
from tome_ext.research.training.latents import pack, unpack
from tome_ext.research.training.text import END, START, padded, tokenize
from tome_ext.research.world.captions import caption, random_caption, vocabulary
from tome_ext.research.world.drawing import render, render_batch
from tome_ext.research.world.prompts import FAMILIES, families
from tome_ext.research.world.scenes import (
    HABITS,
    SHAPES,
    SIZE,
    Place,
    Scene,
    Thing,
    held_out_colour,
    held_out_worn,
    random_scene,
)


def scenes(count, seed=0, **which):
    rng = np.random.default_rng(seed)
    return [random_scene(rng, **which) for _ in range(count)]


def test_the_same_seed_gives_the_same_scenes_and_pictures():
    assert scenes(20) == scenes(20)
    assert scenes(20) != scenes(20, seed=1)
    first, second = (render_batch(scenes(4), np.random.default_rng(1)) for _ in range(2))
    assert (first == second).all()


def test_training_leaves_the_held_out_combinations_out():
    for scene in scenes(1500):
        for thing in scene.things:
            assert thing.colour != held_out_colour(thing.shape)
            assert thing.worn != held_out_worn(thing.shape)
            assert not thing.held_out
    assert all(thing.held_out for scene in scenes(100, held_out=True) for thing in scene.things)


def test_every_shape_keeps_most_of_its_colours_for_training():
    seen = {(thing.shape, thing.colour) for scene in scenes(3000) for thing in scene.things}
    assert len(seen) == len(SHAPES) * 5


def test_things_lie_within_the_picture_and_apart():
    for scene in scenes(300):
        for place in scene.places:
            assert place.radius <= place.x <= SIZE - place.radius
            assert place.radius <= place.y <= SIZE - place.radius
        for i, a in enumerate(scene.places):
            for b in scene.places[:i]:
                near = a.radius + b.radius
                assert abs(a.x - b.x) > near or abs(a.y - b.y) > near


def test_a_render_shows_colour_where_the_thing_stands_and_background_elsewhere():
    picture = render(Scene((Thing("circle", "red"),), (Place(60, 90, 30),), "white"))
    assert picture.shape == (SIZE, SIZE, 3)
    assert abs(picture[90, 60].astype(int) - (214, 38, 38)).max() < 3
    assert abs(picture[10, 180].astype(int) - (246, 246, 244)).max() < 3


def test_textures_and_what_is_worn_change_the_picture():
    place = (Place(96, 96, 40),)
    kinds = [Thing("square", "blue"), Thing("square", "blue", "striped"), Thing("square", "blue", worn="crown")]
    plain, striped, worn = (render(Scene((kind,), place, "grey")).astype(int) for kind in kinds)
    assert (abs(plain - striped).max(-1) > 100).mean() > 0.02
    changed = np.argwhere(abs(plain - worn).max(-1) > 60)
    assert len(changed) > 200
    assert changed[:, 0].max() < 96  # a crown is above the middle


def test_what_is_drawn_once_is_not_drawn_again():
    drawn = scenes(50)
    render_batch(drawn)  # sprites are made once
    assert calls(lambda: render_batch(drawn)) / len(drawn) < 400


def test_captions_name_everything_and_know_their_words():
    rng = np.random.default_rng(3)
    for scene in scenes(300):
        told = random_caption(scene, rng)
        assert set(told.words) <= set(vocabulary())
        assert sorted(told.words[noun] for noun in told.nouns) == sorted(thing.shape for thing in scene.things)
        for thing in scene.things:
            related = [
                told.words[place] for place in told.related[[told.words[n] for n in told.nouns].index(thing.shape)]
            ]
            assert not thing.worn or thing.worn in related
            assert thing.texture == "plain" or thing.texture in related


def test_the_clean_caption_has_the_bare_things_with_their_articles():
    things = (Thing("ring", "red", "dotted", "hat"), Thing("square", "orange"), Thing("star", "blue", worn="boots"))
    told = caption(things)
    assert told.text == "a red dotted ring wearing a hat, an orange square and a blue star wearing boots"
    assert told.clean.text == "a ring, a square and a star"
    assert [told.clean.words[noun] for noun in told.clean.nouns] == ["ring", "square", "star"]


def test_tokens_are_those_of_the_real_tokenizer():
    from tome_ext.embedded.random_model import clip_tokenizer

    first, second = clip_tokenizer(), clip_tokenizer(pad="!")
    rng = np.random.default_rng(4)
    told = [random_caption(scene, rng) for scene in scenes(20)]
    ours = padded([tokenize(one) for one in told])
    for tokenizer, mine in zip((first, second), ours, strict=True):
        made = tokenizer([one.text for one in told], padding="max_length", max_length=77, truncation=True).input_ids
        assert mine.tolist() == made


def test_token_positions_point_at_the_words():
    told = tokenize(caption((Thing("circle", "red", worn="sunglasses"), Thing("star", "blue"))))
    assert told.ids[0] == START
    assert told.ids[told.end] == END
    single = {word: tokenize(caption((Thing(word, "red"),))).ids[3] for word in ("circle", "star")}
    assert [told.ids[noun[-1]] for noun in told.nouns] == [single["circle"], single["star"]]


def test_scenes_survive_packing():
    for scene in scenes(100):
        back = unpack(pack(scene))
        assert (back.things, back.background) == (scene.things, scene.background)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_different_prompts_of_distinct_things(name):
    chosen = [prompt for prompt in families(6, seed=3) if prompt.family == name]
    assert len({prompt.text for prompt in chosen}) == 6
    for prompt in chosen:
        assert len({thing.shape for thing in prompt.things}) == len(prompt.things)
        assert len({thing.colour for thing in prompt.things}) == len(prompt.things)
        if "held out" in name:
            assert all(thing.held_out for thing in prompt.things)
        if "seen" in name:
            assert not any(thing.held_out for thing in prompt.things)
        if name == "two wearing, held out":
            assert all(held_out_worn(thing.shape) == thing.worn for thing in prompt.things)
        if name == "conflicting colours":
            assert any(HABITS.get(thing.shape, thing.colour) != thing.colour for thing in prompt.things)
    assert families(6) == families(6)


def test_a_family_without_as_many_prompts_says_so():
    assert len([prompt for prompt in families(48) if prompt.family == "one thing"]) == 48
    with pytest.raises(ValueError, match="prompts = 49: the family 'one thing' has 48"):
        families(49)
