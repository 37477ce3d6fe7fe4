from __future__ import annotations

import math

import pytest
import torch

from tome_ext.method import losses


def test_entropy_of_known_distributions():
    uniform = torch.full((64,), 1 / 64)
    point = torch.zeros(64)
    point[7] = 1
    halves = torch.zeros(64)
    halves[:2] = 0.5
    assert losses.entropy(torch.stack([uniform, point, halves])).tolist() == pytest.approx(
        [math.log(64), 0, math.log(2)], abs=1e-6
    )


def test_entropy_has_a_finite_gradient_at_zero():
    maps = torch.tensor([[0.0, 1.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(losses.entropy(maps).sum(), maps)
    assert gradient.isfinite().all()


def test_binding_is_the_mean_square_and_has_no_gradient_on_the_phrase():
    one, other = torch.randn(2, 4, 8, 8, requires_grad=True), torch.randn(2, 4, 8, 8, requires_grad=True)
    loss = losses.binding(one, other)
    assert torch.allclose(loss[1], ((one[1] - other[1]) ** 2).mean())
    assert torch.autograd.grad(loss.sum(), [one, other], allow_unused=True)[1] is None


def test_reference_maps_by_hand():
    """Softmax at temperature 0.5 over tokens 1 and 2, then stretched and normalised, for four pixels.

    Their shares are 1/2, e/(1 + e), 1/(1 + e) and e²/(1 + e²), for differences of 0, 1/2, −1/2 and 1.
    """
    attention = torch.tensor([[0.8, 0.1, 0.1, 0.0], [0.2, 0.6, 0.1, 0.1], [0.1, 0.1, 0.6, 0.2], [0.0, 1.0, 0.0, 0.0]])
    e = math.e
    low, high = 1 / (1 + e), e * e / (1 + e * e)
    stretched = [(share - low) / (high - low) for share in (0.5, e / (1 + e), low, high)]
    made = losses.reference_maps(attention, [1], [1, 2])
    assert made[0].tolist() == pytest.approx([share / sum(stretched) for share in stretched], abs=1e-6)


def test_the_authors_entropy_adds_a_small_number_in_the_logarithm():
    maps = torch.tensor([[0.0, 0.25, 0.75]])
    wanted = -(0.25 * math.log(0.25 + 0.1) + 0.75 * math.log(0.75 + 0.1))
    assert losses.entropy(maps, epsilon=0.1).item() == pytest.approx(wanted, abs=1e-6)


def test_paper_maps_sum_to_one():
    assert torch.allclose(losses.paper_maps(torch.rand(3, 50)).sum(-1), torch.ones(3))


@pytest.mark.parametrize(
    ("form", "x", "y"),
    [("paper", 6.5 / 8 * 32, 1.5 / 4 * 32), ("reference", 6 / 7 * 32, 1 / 3 * 32)],
)
def test_position_of_a_point(form, x, y):
    maps = torch.zeros(1, 4 * 8)
    maps[0, 1 * 8 + 6] = 1
    loss = losses.position(maps, (4, 8), torch.tensor([[25 / 32, 16 / 32]]), form)
    assert loss.item() == pytest.approx(((x - 25) ** 2 + (y - 16) ** 2) / 2, rel=1e-5)


@pytest.mark.parametrize("size", [(4, 4), (8, 16), (32, 32), (1, 3)])
@pytest.mark.parametrize("form", ["paper", "reference"])
def test_an_even_map_is_pulled_to_no_corner_at_any_size(form, size):
    if form == "reference" and 1 in size:
        pytest.skip("the authors' maps have 32 x 32 pixels")
    pixels = size[0] * size[1]
    even = torch.full((1, pixels), 1 / pixels)
    assert losses.position(even, size, torch.tensor([[0.5, 0.5]]), form).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_position_targets_run_from_left_to_right(count):
    targets = losses.position_targets(count)
    assert targets.shape == (count, 2)
    assert (targets[1:, 0] > targets[:-1, 0]).all()
    assert (targets[:, 1] == 0.5).all()
    if count > 1:
        assert targets[[0, -1], 0].tolist() == [10 / 32, 25 / 32]
