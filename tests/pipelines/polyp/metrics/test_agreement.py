"""Errors in mm by hand, against scikit-learn, and the ICC against an analysis of variance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import mean_absolute_error, median_absolute_error

from pipelines.polyp.metrics import agreement

quick = settings(max_examples=40, deadline=None)
TRUE = [3.0, 5.0, 8.0, 12.0]
PREDICTED = [4.0, 4.0, 10.0, 12.0]


def some_sizes(seed: int, count: int = 40) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    true = rng.uniform(1, 25, count)
    return true, np.maximum(0.5, true * rng.normal(1, 0.2, count) + rng.normal(0, 2))


def icc_by_anova(true: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """Shrout and Fleiss' ICC(2,1) from residuals of a two-way table without replication."""
    table = np.stack([true, predicted], axis=1)
    n, k = table.shape
    items, raters, whole = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True), table.mean()
    bms = k * ((items - whole) ** 2).sum() / (n - 1)
    jms = n * ((raters - whole) ** 2).sum() / (k - 1)
    ems = ((table - items - raters + whole) ** 2).sum() / ((n - 1) * (k - 1))
    return float((bms - ems) / (bms + (k - 1) * ems + k * (jms - ems) / n))


def test_by_hand() -> None:
    found = agreement(TRUE, PREDICTED)
    assert (found.items, found.mae, found.median_error, found.bias) == (4, 1.0, 1.0, 0.5)
    spread = math.sqrt((0.25 + 2.25 + 2.25 + 0.25) / 3)
    assert found.low == pytest.approx(0.5 - 1.96 * spread)
    assert found.high == pytest.approx(0.5 + 1.96 * spread)


def test_the_table_of_shrout_and_fleiss() -> None:
    """Six targets and the first two of their four judges, with mean squares worked out by hand."""
    first, second = [9, 6, 8, 7, 10, 6], [2, 1, 4, 1, 5, 2]
    # Sums of squares: targets 23.41667, judges 31² / 12, all 106.91667, so the rest is 3.41667.
    bms, jms, ems = 23.416667 / 5, 31**2 / 12, 3.416667 / 5
    assert agreement(first, second).icc == pytest.approx(
        (bms - ems) / (bms + ems + 2 * (jms - ems) / 6), rel=1e-5
    )


@quick
@given(st.integers(0, 2**32 - 1))
def test_as_others_have_it(seed: int) -> None:
    true, predicted = some_sizes(seed)
    found = agreement(true, predicted)
    assert found.mae == pytest.approx(mean_absolute_error(true, predicted))
    assert found.median_error == pytest.approx(median_absolute_error(true, predicted))
    spread = stats.tstd(predicted - true)
    assert found.low == pytest.approx(found.bias - 1.96 * spread)
    assert found.high == pytest.approx(found.bias + 1.96 * spread)
    assert found.icc == pytest.approx(icc_by_anova(true, predicted))


def test_one_item_has_errors_and_no_spread() -> None:
    found = agreement([4], [5])
    assert (found.mae, found.bias) == (1, 1)
    assert (found.low, found.high, found.icc) == (None, None, None)


def test_a_perfect_prediction() -> None:
    found = agreement(TRUE, TRUE)
    assert (found.mae, found.low, found.high) == (0, 0, 0)
    assert found.icc == pytest.approx(1)


def test_a_constant_shift_costs_agreement_but_not_correlation() -> None:
    true, _ = some_sizes(0)
    found = agreement(true, true + 5)
    assert found.icc is not None and found.icc < 0.9
    assert found.bias == pytest.approx(5) and found.low == pytest.approx(5)


@pytest.mark.parametrize(
    ("true", "predicted"), [([], []), ([1], [1, 2]), ([1], [math.nan]), ([[1]], [[1]]), ([math.inf], [1])]
)
def test_what_are_no_sizes(true: list[float], predicted: list[float]) -> None:
    with pytest.raises(ValueError, match="sizes must be"):
        agreement(true, predicted)
