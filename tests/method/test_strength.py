from __future__ import annotations

import pytest
import torch

from tome_ext.method.composition import Encoded, compose, pooled, substitute_ends
from tome_ext.method.merging import Composite, merge
from tome_ext.prompts.groups import Group, Span
from tome_ext.settings import Settings, preset
from tome_ext.tokens import Located, LocatedGroup

END = 6  # BOS a red cat and dog EOT …


def group(noun, related, strength=1.0):
    """A group whose noun and one attribute stand at these tokens of the first chunk."""
    words = Group(Span(0, 1, "n"), (Span(1, 2, "r"),), "r n", strength=strength)
    return LocatedGroup(words, ((0, noun),), (((0, related),),), ())


def full(**values):
    """The defaults with the paper's weights."""
    return Settings(**{"related_weight": 1.0, **values})


def encoded(*groups, seed=0):
    generator = torch.Generator().manual_seed(seed)
    conditioning, clean = (torch.randn(77, 4, generator=generator) for _ in range(2))
    located = Located(tuple(groups), (END,), ())
    return Encoded(conditioning, located, (torch.zeros(77, 4),) * len(groups), clean, (4,))


def whole(image, **values):
    settings = full(**values)
    return substitute_ends(compose([image], settings), [image], settings)


def as_set(context):
    """Rows in an order of their own: attention does not see where a token stands."""
    return torch.stack(sorted(context, key=lambda row: row.tolist()))


@pytest.mark.parametrize("members", ["close", "zero"])
def test_at_0_every_token_is_the_prompt_s_own(members):
    image = encoded(group(3, 2))
    tokens = whole(image, strength=0.0, members=members)
    assert torch.equal(tokens.context[0], image.conditioning)
    assert tokens.image == ()
    assert len(tokens.phrase) == 0


@pytest.mark.parametrize("members", ["close", "zero"])
@pytest.mark.parametrize("strength", [1e-6, 1 - 1e-6])
def test_the_way_from_off_to_the_preset_has_no_jump(members, strength):
    image = encoded(group(3, 2), group(5, 4))
    near = whole(image, strength=strength, members=members).context[0]
    end = whole(image, strength=round(strength), members=members).context[0]
    assert (as_set(near) - as_set(end)).abs().max() < 1e-4


def test_half_way_the_tokens_lie_in_the_middle():
    image = encoded(group(3, 2))
    tokens = whole(image, strength=0.5, noun_weight=1.0, related_weight=1.0)
    plain = image.conditioning
    assert torch.allclose(tokens.context[0][3], plain[3] + 0.5 * plain[2])
    member = compose([image], full(strength=0.5)).context[0][2]
    assert torch.allclose(member, (plain[2] + plain[76]) / 2), "towards the padding that would close up"
    assert torch.allclose(tokens.context[0][END], (plain[END] + image.clean[4]) / 2)
    assert tokens.position == (3,)


def test_above_1_the_attributes_count_more_and_the_noun_does_not():
    image = encoded(group(3, 2))
    one, two = (compose([image], full(strength=s)) for s in (1.0, 2.0))
    plain = image.conditioning
    assert torch.allclose(one.composites[0], plain[3] + plain[2])
    assert torch.allclose(two.composites[0], plain[3] + 2 * plain[2])


def test_at_1_nothing_of_it_is_seen():
    image = encoded(group(3, 2))
    parts = [Composite(3, ((1.0, 3), (1.0, 2)))]
    expected, positions = merge(image.conditioning, parts)
    tokens = compose([image], full())
    assert torch.equal(tokens.context[0], expected)
    assert tokens.position == positions


def test_an_object_by_hand_has_a_strength_of_its_own():
    image = encoded(group(3, 2, strength=2.0), group(5, 4, strength=0.5))
    tokens = compose([image], full())
    plain = image.conditioning
    assert torch.allclose(tokens.composites[0], plain[3] + 2 * plain[2])
    assert torch.allclose(tokens.composites[1], plain[5] + 0.5 * plain[4])
    assert tokens.position == (2, 4), "only the first one's attribute leaves the sequence"


@pytest.mark.parametrize(("strength", "expected"), [(0.25, 0.25), (1.0, 1.0), (2.0, 1.0)])
def test_the_pooled_vector_goes_as_far_as_the_end_tokens(strength, expected):
    own, clean = torch.zeros(3), torch.ones(3)
    assert torch.equal(pooled(own, clean, full(strength=strength)), torch.full((3,), expected))


def test_the_step_of_the_refinement_is_multiplied_and_the_preset_s_own_stays():
    settings = preset("reference").replace(strength=2.0)
    assert (settings.scaled.step_size, settings.scaled.binding_step_size) == (6.0, 2.0)
    assert settings.step_size == 3.0
    assert full().scaled == full()
    assert full(step_size=10.0, strength=2.0).scaled.step_size == 20.0, "above what may be asked for by itself"


def test_at_0_nothing_is_refined():
    assert full().refines
    assert not full(strength=0.0).refines
