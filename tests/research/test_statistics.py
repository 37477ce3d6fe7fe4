from __future__ import annotations

import math

import numpy as np
import pytest

from tome_ext.research.statistics import paired_bootstrap, paired_shares, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # by hand from the formula, z = 1.96
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (43, 100, 0.3373, 0.5279),
    ],
)
def test_wilsons_interval(successes, trials, low, high):
    found = wilson(successes, trials)
    assert found.value == successes / trials
    assert (found.low, found.high) == pytest.approx((low, high), abs=2e-4)


def test_without_trials_everything_is_possible():
    found = wilson(0, 0)
    assert math.isnan(found.value)
    assert (found.low, found.high) == (0, 1)
    assert found.percent() == "–"


def test_the_interval_covers_as_often_as_it_says():
    covered = []
    for share in np.linspace(0.05, 0.95, 37):
        chances = [math.comb(60, k) * share**k * (1 - share) ** (60 - k) for k in range(61)]
        inside = [wilson(k, 60).low <= share <= wilson(k, 60).high for k in range(61)]
        covered.append(float(np.dot(chances, inside)))
    assert 0.945 < np.mean(covered) < 0.96
    assert min(covered) > 0.9


def test_pairs_give_a_narrower_interval_than_their_spread():
    rng = np.random.default_rng(1)
    base = rng.normal(0, 10, 200)
    found = paired_bootstrap(base.tolist(), (base + rng.normal(1, 0.5, 200)).tolist())
    assert found.low < 1 < found.high
    assert found.high - found.low < 0.3
    assert found.value == pytest.approx(1, abs=0.15)


def test_clusters_widen_the_interval():
    rng = np.random.default_rng(2)
    effect = np.repeat(rng.normal(0, 1, 20), 10)
    clusters = np.repeat(np.arange(20), 10).tolist()
    zeros = [0.0] * 200
    single, together = (paired_bootstrap(zeros, effect.tolist(), which) for which in (None, clusters))
    assert together.high - together.low > 2 * (single.high - single.low)


def test_the_bootstrap_covers_as_often_as_it_says():
    rng = np.random.default_rng(3)
    hits = []
    for seed in range(200):
        values = rng.normal(0.5, 1, 40).tolist()
        found = paired_bootstrap([0.0] * 40, values, rounds=400, seed=seed)
        hits.append(found.low <= 0.5 <= found.high)
    assert 0.88 < np.mean(hits) < 0.99


def test_the_same_seed_gives_the_same_interval():
    values = ([0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 1.0])
    assert paired_bootstrap(*values) == paired_bootstrap(*values)


@pytest.mark.parametrize("values", [([], []), ([1.0], [1.0, 2.0])])
def test_unpaired_values_are_refused(values):
    with pytest.raises(ValueError, match="as many"):
        paired_bootstrap(*values)


def test_shares_are_compared_over_all_trials_and_not_image_by_image():
    first, second = ([1, 0], [1, 3]), ([1, 3], [1, 3])
    assert paired_shares(first, second).value == pytest.approx(1 - 1 / 4)
    assert paired_shares(first, first).percent() == "0 % (0–0)"


def test_shares_without_trials_say_nothing():
    found = paired_shares(([0], [0]), ([1], [1]))
    assert (found.difference(), found.low, found.high) == ("–", -1, 1)


def test_a_difference_of_shares_covers_as_often_as_it_says():
    rng = np.random.default_rng(5)
    hits = []
    for seed in range(200):
        trials = rng.integers(0, 4, 60)
        trials[0] = 1
        a, b = rng.binomial(trials, 0.4), rng.binomial(trials, 0.6)
        found = paired_shares((a.tolist(), trials.tolist()), (b.tolist(), trials.tolist()), rounds=400, seed=seed)
        hits.append(found.low <= 0.2 <= found.high)
    assert 0.88 < np.mean(hits) < 0.99
