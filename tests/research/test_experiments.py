from __future__ import annotations

import pytest
import torch

from tests.models import untrained_pipeline
from tome_ext.cli.evidence import EXPERIMENTS as NAMES
from tome_ext.hosts.diffusers.encoding import encode_with
from tome_ext.research import contexts
from tome_ext.research.arms import PLAIN, settings_for
from tome_ext.research.benchmark import Sampling
from tome_ext.research.commands import judge_accuracy, shard_of
from tome_ext.research.experiments import EXPERIMENTS, chosen_arms, experiment
from tome_ext.research.makers import sample
from tome_ext.research.world.prompts import prompt_of
from tome_ext.research.world.scenes import Thing
from tome_ext.settings import Settings

PAIR = prompt_of((Thing("circle", "red"), Thing("square", "blue", worn="hat")), "x")
ONE = prompt_of((Thing("circle", "red", "striped"),), "x")


@pytest.fixture(scope="module")
def pipe():
    return untrained_pipeline()


def encoded(pipe, text):
    return pipe.encode_prompt(text, device=torch.device("cpu"), do_classifier_free_guidance=False)[0][0]


def test_the_command_line_knows_every_experiment():
    assert tuple(one.name for one in EXPERIMENTS) == NAMES


@pytest.mark.parametrize("one", EXPERIMENTS, ids=lambda one: one.name)
def test_every_experiment_has_distinct_arms_and_prompts_of_its_own(one):
    assert len({arm.name for arm in one.arms}) == len(one.arms) > 1
    chosen = one.prompts(2, 0)
    assert chosen
    assert len({(prompt.family, prompt.text) for prompt in chosen}) == len(chosen)


def test_unknown_arms_are_named():
    one = experiment("layout")
    assert chosen_arms(one, []) == one.arms
    assert [arm.name for arm in chosen_arms(one, ["0–20 %"])] == ["0–20 %"]
    with pytest.raises(ValueError, match="merging and ETS"):
        chosen_arms(one, ["no such arm"])


def test_contexts_are_the_tokens_that_they_say(pipe):
    own, clean = encoded(pipe, PAIR.text), encoded(pipe, PAIR.clean)
    words = PAIR.text.split()
    assert torch.equal(contexts.phrase(pipe, PAIR)[0], own)
    assert torch.equal(contexts.noun_alone(pipe, PAIR)[0], own[[1 + words.index("circle")]])
    assert torch.equal(contexts.ends_alone(pipe, PAIR)[0], own[1 + len(words) :])
    assert torch.equal(contexts.clean_ends_alone(pipe, PAIR)[0], clean[1 + len(PAIR.clean.split()) :])
    ets = contexts.substituted(pipe, PAIR)[0]
    assert torch.equal(ets[: 1 + len(words)], own[: 1 + len(words)])
    assert torch.equal(ets[1 + len(words)], clean[1 + len(PAIR.clean.split())])
    assert ets.shape == own.shape


def test_sums_and_composites_add_up(pipe):
    clean = encoded(pipe, "a circle")
    expected = clean[2] + encoded(pipe, "red")[1] + encoded(pipe, "striped")[1:-1][: _length(pipe, "striped")].sum(0)
    assert torch.allclose(contexts.word_sum(pipe, ONE)[0][2], expected, atol=1e-5)
    own = encoded(pipe, ONE.text)
    assert torch.allclose(contexts.composite_alone(pipe, ONE)[0][0], own[2:5].sum(0), atol=1e-5)


def _length(pipe, word):
    return len(pipe.tokenizer(word, add_special_tokens=False).input_ids)


def test_one_encoder_leaves_the_others_channels_zero(pipe):
    own = encoded(pipe, PAIR.text)
    first, second = (contexts.one_encoder(number, None)(pipe, PAIR)[0] for number in (1, 2))
    assert torch.equal(first + second, own)
    assert not first[:, 64:].any()
    assert not second[:, :64].any()


def test_without_merging_every_word_stays_and_the_losses_have_their_nouns(pipe):
    arm = next(arm for arm in experiment("ablation").arms if arm.unmerged)
    groups = encode_with(pipe, PAIR.text, settings_for(arm, PAIR)).located.groups
    assert [group.group.noun.text for group in groups] == ["circle", "square"]
    assert all(not group.related for group in groups)


def test_arms_of_one_seed_differ_and_repeat(pipe):
    tiny = Sampling(steps=2, size=64)
    arms = [PLAIN, experiment("additivity").arms[3], experiment("ablation").arms[1]]
    made = [sample(pipe, arm, PAIR, [1, 2], tiny) for arm in arms]
    again = sample(pipe, arms[2], PAIR, [1, 2], tiny)
    assert [image.tobytes() for image in again] == [image.tobytes() for image in made[2]]
    assert len({images[0].tobytes() for images in made}) == 3
    assert made[0][0].tobytes() != made[0][1].tobytes()


def test_accelerates_environment_says_which_shard_this_is():
    assert shard_of({}) == (0, 1)
    assert shard_of({"RANK": "2", "WORLD_SIZE": "4"}) == (2, 4)


def test_the_judges_accuracy_is_told_through_an_autoencoder_too(pipe):
    lines = judge_accuracy(4, pipe)
    assert len(lines) == 2
    assert "4 scenes" in lines[0]
    assert "encoded and decoded" in lines[1]


def test_settings_of_the_composite_are_the_arms_own(pipe):
    heavy = contexts.composite_alone(pipe, ONE, Settings(iterations=0, related_weight=2.0))[0]
    assert not torch.allclose(heavy, contexts.composite_alone(pipe, ONE)[0])
