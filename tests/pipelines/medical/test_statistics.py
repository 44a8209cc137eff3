"""Tests and intervals against enumeration by hand, scipy, and simulated coverage."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.medical.statistics import (
    EXACT_UP_TO,
    Resampler,
    adjusted,
    cohens_d,
    friedman,
    mean_interval,
    permutation_p,
    rank_biserial,
)


def test_friedman_by_hand() -> None:
    """Three methods in the same order in all of four cases: ranks 1, 2, 3 each."""
    scores = np.array([[0.1, 0.2, 0.3], [0.5, 0.6, 0.9], [0.2, 0.3, 0.4], [0.1, 0.5, 0.6]])
    found = friedman(scores)
    assert found is not None
    assert found.statistic == pytest.approx(12 / (4 * 3 * 4) * (4**2 + 8**2 + 12**2) - 3 * 4 * 4)  # = 8
    assert found.p == pytest.approx(np.exp(-4))  # chi-square with two degrees of freedom


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("methods", [3, 5])
def test_friedman_is_scipys_with_and_without_ties(seed: int, methods: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(9, methods)).round(seed % 2 * 6)
    found, expected = friedman(scores), scipy.stats.friedmanchisquare(*scores.T)
    assert found is not None
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_friedman_needs_three_methods_and_differences() -> None:
    assert friedman(np.ones((1, 3))) is None
    assert friedman(np.ones((5, 2))) is None
    tied = friedman(np.ones((5, 3)))
    assert tied is not None
    assert (tied.statistic, tied.p) == (0, 1)


def test_permutation_by_hand() -> None:
    """Differences 1 to 5, all positive: of 32 turns only this one and its mirror have a sum of 15."""
    assert permutation_p(np.array([1.0, 2, 3, 4, 5]), Resampler()) == 2 / 32
    # With the 1 turned the sum is 13: sums as far are 15 and 13 and their mirrors.
    assert permutation_p(np.array([-1.0, 2, 3, 4, 5]), Resampler()) == 4 / 32
    assert permutation_p(np.array([1.0, -1.0]), Resampler()) == 1
    assert permutation_p(np.array([0.3]), Resampler()) == 1
    assert permutation_p(np.zeros(7), Resampler()) == 1
    assert permutation_p(np.zeros(0), Resampler()) is None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=8))
def test_the_exact_test_counts_all_signs_with_ties(values: list[int]) -> None:
    differences = np.array(values) / 10  # a tenth is no binary fraction: ties have to survive rounding
    sums = [
        abs(sum(s * v for s, v in zip(signs, values, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(values))
    ]
    expected = sum(total >= abs(sum(values)) for total in sums) / len(sums)
    assert permutation_p(differences, Resampler()) == pytest.approx(expected)


def test_exact_and_random_agree_with_scipy() -> None:
    rng = np.random.default_rng(0)
    for count in (EXACT_UP_TO, EXACT_UP_TO + 1, 40):
        differences = rng.normal(0.3, 1, count)
        expected = scipy.stats.permutation_test(
            (differences,), np.mean, permutation_type="samples", n_resamples=20_000, rng=rng
        ).pvalue
        assert permutation_p(differences, Resampler()) == pytest.approx(expected, abs=0.02)


def test_a_random_p_is_never_zero_and_repeats_with_its_seed() -> None:
    far = np.random.default_rng(0).normal(5, 1, 40)
    assert permutation_p(far, Resampler(draws=2_000)) == 1 / 2_001
    near = np.random.default_rng(1).normal(0.2, 1, 40)
    first, again, other = (permutation_p(near, Resampler(seed)) for seed in (3, 3, 4))
    assert first == again != other
    kept = Resampler(3)
    kept.signs(20), kept.weights(20)
    assert permutation_p(near, kept) == first


@pytest.mark.parametrize("seed", range(5))
def test_adjusted_p_values_are_scipys(seed: int) -> None:
    p = np.random.default_rng(seed).uniform(0, 0.2, 15).round(2)
    np.testing.assert_allclose(adjusted(p), scipy.stats.false_discovery_control(p))


def test_adjusted_by_hand() -> None:
    np.testing.assert_allclose(adjusted(np.array([0.04, 0.01, 0.03])), [0.04, 0.03, 0.04])
    assert adjusted(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_is_scipys(seed: int) -> None:
    values = np.random.default_rng(seed).exponential(1, 30) - 0.5
    low, high = mean_interval(values, Resampler(draws=20_000)) or (0, 0)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(9)
    ).confidence_interval
    width = expected.high - expected.low
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.04 * width)


def test_intervals_where_little_is_known() -> None:
    assert mean_interval(np.array([0.4]), Resampler()) is None
    assert mean_interval(np.full(6, 0.1), Resampler()) == pytest.approx((0.1, 0.1))
    low, high = mean_interval(np.array([0.0, 1.0]), Resampler()) or (9, 9)
    assert 0 <= low < 0.5 < high <= 1


def test_the_interval_moves_with_the_values() -> None:
    values = np.random.default_rng(5).normal(size=20)
    low, high = mean_interval(values, Resampler()) or (0, 0)
    assert mean_interval(values + 1e6, Resampler()) == pytest.approx((low + 1e6, high + 1e6), abs=1e-6)
    assert mean_interval(-3 * values, Resampler()) == pytest.approx((-3 * high, -3 * low), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("skewed", [False, True])
def test_ninety_five_of_a_hundred_intervals_hold_the_mean(skewed: bool) -> None:
    rng = np.random.default_rng(0)
    resampler = Resampler(draws=2_000)
    held, tests = 0, 600
    for _ in range(tests):
        values = rng.exponential(1, 40) if skewed else rng.normal(1, 1, 40)
        low, high = mean_interval(values, resampler) or (0, 0)
        held += low <= 1 <= high
    assert 0.90 <= held / tests <= 0.98


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1,000"):
        Resampler(draws=10)


def test_effect_sizes_by_hand() -> None:
    assert cohens_d(np.array([1.0, 2, 3])) == pytest.approx(2)
    assert cohens_d(np.array([1.0])) is None
    assert cohens_d(np.full(4, 0.1)) is None
    assert rank_biserial(np.array([1.0, -2, 3])) == pytest.approx((1 - 2 + 3) / 6)
    assert rank_biserial(np.array([0.0, 5, 6])) == 1
    assert rank_biserial(np.array([-1.0, -1])) == -1
    assert rank_biserial(np.zeros(3)) is None


def test_no_difference_gives_small_p_values_no_more_often_than_it_should() -> None:
    rng = np.random.default_rng(7)
    resampler = Resampler(draws=1_000)
    p = [permutation_p(rng.normal(size=10), resampler) for _ in range(400)]
    assert np.mean(np.array(p) <= 0.05) < 0.08
