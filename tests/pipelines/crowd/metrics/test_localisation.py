"""Matching by hand, against an assignment and against augmenting paths; scores are micro-averaged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from pipelines.crowd.metrics import Hits, hits, localisation, match

quick = settings(max_examples=40, deadline=None)


def by_assignment(true: NDArray[np.float64], predicted: NDArray[np.float64], sigma: float) -> int:
    """The most pairs within reach: an assignment in which each pair out of reach costs 1."""
    far = cdist(true, predicted) > sigma
    rows, columns = linear_sum_assignment(far.astype(float))
    return int((~far[rows, columns]).sum())


def by_augmenting_paths(true: NDArray[np.float64], predicted: NDArray[np.float64], sigma: float) -> int:
    """Kuhn's algorithm, word for word."""
    near = [[int(one) for one in np.flatnonzero(row <= sigma)] for row in cdist(true, predicted)]
    partner: dict[int, int] = {}

    def seek(head: int, seen: set[int]) -> bool:
        for guess in near[head]:
            if guess not in seen:
                seen.add(guess)
                if guess not in partner or seek(partner[guess], seen):
                    partner[guess] = head
                    return True
        return False

    return sum(seek(head, set()) for head in range(len(true)))


def test_each_point_is_in_one_pair_at_most() -> None:
    """Two guesses on one head: one hit and one false. The other head is missed."""
    assert hits([[0, 0], [50, 50]], [[1, 0], [0, 1]], 4) == Hits(1, 1, 1)


def test_a_greedy_choice_would_lose_a_pair() -> None:
    """The middle guess is nearer to the first head, which has another one; the second has only this."""
    assert hits([[0, 0], [5, 0]], [[2, 0], [-4, 0]], 4) == Hits(2, 0, 0)


def test_the_distance_itself_is_within_reach() -> None:
    assert hits([[0, 0]], [[3, 4]], 5) == Hits(1, 0, 0)
    assert hits([[0, 0]], [[3, 4]], 4.999) == Hits(0, 1, 1)
    assert hits([[2, 2]], [[2, 2]], 0) == Hits(1, 0, 0)


def test_each_head_may_have_its_own_distance() -> None:
    true, predicted = [[0, 0], [100, 0]], [[6, 0], [106, 0]]
    assert match(true, predicted, [5, 7]).tolist() == [[1, 1]]


def test_nothing_there_or_nothing_found() -> None:
    assert hits([], [], 4) == Hits(0, 0, 0)
    assert hits([], [[1, 1]], 4) == Hits(0, 1, 0)
    assert hits([[1, 1]], [], 4) == Hits(0, 0, 1)


@quick
@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.integers(1, 25), st.sampled_from([0.5, 2, 4, 8]))
def test_as_two_other_implementations_have_it(seed: int, heads: int, guesses: int, sigma: float) -> None:
    rng = np.random.default_rng(seed)
    # On a grid, so that distances tie and equal the reach.
    true, predicted = (rng.integers(0, 30, (one, 2)).astype(np.float64) for one in (heads, guesses))
    pairs = match(true, predicted, sigma)
    assert len(pairs) == by_assignment(true, predicted, sigma) == by_augmenting_paths(true, predicted, sigma)
    assert (np.linalg.norm(true[pairs[:, 0]] - predicted[pairs[:, 1]], axis=1) <= sigma).all()
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)


def test_a_dense_crowd_is_matched_quickly() -> None:
    rng = np.random.default_rng(0)
    true = rng.uniform(0, 1000, (5_000, 2))
    found = hits(true, true + rng.normal(0, 1, true.shape), 8)
    assert found.matched > 4_990


def test_counts_are_added_before_dividing() -> None:
    found = localisation([Hits(1, 0, 0), Hits(2, 2, 5)])
    assert found.precision == 3 / 5
    assert found.recall == 3 / 8
    assert found.f1 == 6 / 13
    assert found.f1 == pytest.approx(2 * (3 / 5) * (3 / 8) / (3 / 5 + 3 / 8))


def test_scores_without_anything_to_divide_by() -> None:
    assert localisation([]) == localisation([Hits(0, 0, 0)])
    nothing = localisation([Hits(0, 0, 3)])
    assert (nothing.precision, nothing.recall, nothing.f1) == (None, 0, 0)


@pytest.mark.parametrize("sigma", [-1.0, np.nan])
def test_a_distance_that_is_none(sigma: float) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        match([[0, 0]], [[0, 0]], sigma)
