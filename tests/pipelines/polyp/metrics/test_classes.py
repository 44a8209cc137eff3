"""The three classes, by hand and as scikit-learn has them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, f1_score

from pipelines.polyp.metrics import accuracy, confusion, kappa, known_class, macro_f1, size_class

quick = settings(max_examples=60, deadline=None)


@pytest.mark.parametrize(
    ("mm", "expected"), [(0.5, 0), (5, 0), (5.01, 1), (6, 1), (9, 1), (9.99, 1), (10, 2), (25, 2)]
)
def test_the_edges_of_the_classes(mm: float, expected: int) -> None:
    assert size_class(mm) == expected


def test_a_lower_bound_has_a_class_from_ten_on() -> None:
    assert known_class([15, 10, 9, 3, 3], [True, True, True, True, False]).tolist() == [2, 2, -1, -1, 0]


def test_by_hand() -> None:
    matrix = confusion([0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 0, 2])
    assert matrix.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    assert accuracy(matrix) == 4 / 6
    assert macro_f1(matrix) == pytest.approx((2 / 4 + 4 / 5 + 2 / 3) / 3)
    # Disagreement 1 * 1 + 1 * 4; by chance rows (2, 2, 2) and columns (2, 3, 1): (3 + 4 + 2 + 2 + 8 + 6) / 3.
    assert kappa(matrix) == pytest.approx(1 - 5 / ((2 * 3 + 2 * 4 + 2 * 2 + 2 * 1 + 2 * 8 + 2 * 3) / 6))


@quick
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_as_scikit_learn_has_it(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(0, 3, (2, count))
    matrix = confusion(true, predicted)
    np.testing.assert_array_equal(matrix, confusion_matrix(true, predicted, labels=[0, 1, 2]))
    assert accuracy(matrix) == pytest.approx(accuracy_score(true, predicted))
    assert macro_f1(matrix) == pytest.approx(f1_score(true, predicted, average="macro", zero_division=0))
    found = kappa(matrix)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = cohen_kappa_score(true, predicted, labels=[0, 1, 2], weights="quadratic")
    assert found is None if np.isnan(other) else found == pytest.approx(other)


def test_an_empty_matrix_and_one_class_alone() -> None:
    empty = np.zeros((3, 3))
    assert (accuracy(empty), macro_f1(empty), kappa(empty)) == (None, None, None)
    alone = confusion([1, 1], [1, 1])
    assert (accuracy(alone), macro_f1(alone), kappa(alone)) == (1, 1, None)


@pytest.mark.parametrize(("true", "predicted"), [([3], [0]), ([-1], [0]), ([0, 1], [0])])
def test_what_are_no_classes(true: list[int], predicted: list[int]) -> None:
    with pytest.raises(ValueError, match="classes"):
        confusion(true, predicted)
