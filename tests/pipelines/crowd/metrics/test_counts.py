"""Errors of counts and intervals, by hand and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_squared_error

from pipelines.crowd.metrics import bias, interval_scores, mae, nae, rmse

TRUE = [0, 10, 4, 100]
PREDICTED = [2, 7, 4, 120]


def test_by_hand() -> None:
    assert mae(TRUE, PREDICTED) == (2 + 3 + 0 + 20) / 4
    assert rmse(TRUE, PREDICTED) == math.sqrt((4 + 9 + 0 + 400) / 4)
    assert bias(TRUE, PREDICTED) == (2 - 3 + 0 + 20) / 4
    assert nae(TRUE, PREDICTED) == pytest.approx(
        (3 / 10 + 0 + 20 / 100) / 3
    )  # the empty image is passed over


def test_as_scikit_learn_has_it() -> None:
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 900, 50), rng.uniform(0, 900, 50)
    assert mae(true, predicted) == pytest.approx(mean_absolute_error(true, predicted))
    assert rmse(true, predicted) == pytest.approx(math.sqrt(mean_squared_error(true, predicted)))


def test_nothing_but_empty_images_have_no_relative_error() -> None:
    assert nae([0, 0], [1, 2]) is None


@pytest.mark.parametrize(
    ("true", "predicted"), [([], []), ([1], [1, 2]), ([1], [math.nan]), ([-1], [1]), ([[1]], [[1]])]
)
def test_what_are_no_counts(true: list[float], predicted: list[float]) -> None:
    with pytest.raises(ValueError, match="counts must be"):
        mae(true, predicted)


def test_intervals_by_hand() -> None:
    found = interval_scores([0, 10, 4, 100], [0, 11, 1, 90], [1, 15, 4, 110])
    assert (found.coverage, found.width) == (3 / 4, (1 + 4 + 3 + 20) / 4)
    assert found.relative_width == pytest.approx(28 / 114)
    assert interval_scores([0], [0], [2]).relative_width is None


@pytest.mark.parametrize(
    ("true", "low", "high", "words"),
    [
        ([1], [2], [1], "end below"),
        ([1], [math.nan], [1], "finite"),
        ([1, 2], [1], [1], "one length"),
        ([], [], [], "one length"),
    ],
)
def test_what_are_no_intervals(true: list[float], low: list[float], high: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        interval_scores(true, low, high)
