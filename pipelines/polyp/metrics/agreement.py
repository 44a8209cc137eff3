"""How near sizes in mm come to the truth, from sums over items, so that draws of a bootstrap cost little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
LIMITS_SD: Final = 1.96


@dataclass(frozen=True, slots=True)
class Agreement:
    """Everything in mm but icc. low, high: limits of agreement. None where there are too few items for it."""

    items: int
    mae: float
    median_error: float
    bias: float
    low: float | None
    high: float | None
    icc: float | None


def agreement(true_mm: ArrayLike, predicted_mm: ArrayLike) -> Agreement:
    """Of true and predicted sizes in mm, (N,) each. Raises ValueError if they are none or not finite."""
    true, predicted = paired(true_mm, predicted_mm)
    sums = moments(true, predicted).sum(axis=0, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high, ratio = (float(of(sums)[0]) for of in (low_of, high_of, icc_of))
    return Agreement(
        len(true),
        float(mae_of(sums)[0]),
        float(np.median(np.abs(predicted - true))),
        float(bias_of(sums)[0]),
        *(one if np.isfinite(one) else None for one in (low, high, ratio)),
    )


def paired(true_mm: ArrayLike, predicted_mm: ArrayLike) -> tuple[Floats, Floats]:
    """Both as float64 (N,). Raises ValueError if they do not pair up, are none, or are not finite."""
    true, predicted = np.asarray(true_mm, np.float64), np.asarray(predicted_mm, np.float64)
    if true.ndim != 1 or true.shape != predicted.shape or not len(true):
        raise ValueError(f"sizes must be two rows of one length, not {true.shape} and {predicted.shape}")
    if not (np.isfinite(true).all() and np.isfinite(predicted).all()):
        raise ValueError("sizes must be finite")
    return true, predicted


def moments(true: Floats, predicted: Floats) -> Floats:
    """What the scores below are made of, (N, 7): 1, t, p, t², p², tp and |p - t|, in powers of mm."""
    return np.stack(
        [np.ones_like(true), true, predicted, true**2, predicted**2, true * predicted, abs(predicted - true)],
        axis=1,
    )


def mae_of(sums: Floats) -> Floats:
    """Mean absolute error from sums of moments, (draws, 7) to (draws,)."""
    return sums[:, 6] / sums[:, 0]


def bias_of(sums: Floats) -> Floats:
    """Mean of predicted less true, from sums of moments."""
    return (sums[:, 2] - sums[:, 1]) / sums[:, 0]


def low_of(sums: Floats) -> Floats:
    """The lower limit of agreement (Bland and Altman, 1986): bias - 1.96 standard deviations."""
    return bias_of(sums) - LIMITS_SD * _deviation(sums)


def high_of(sums: Floats) -> Floats:
    """The upper limit of agreement: bias + 1.96 standard deviations of the differences, with n - 1."""
    return bias_of(sums) + LIMITS_SD * _deviation(sums)


def icc_of(sums: Floats) -> Floats:
    """ICC(2,1) of Shrout and Fleiss (1979): two-way random effects, absolute agreement, one measurement.

    The two raters are the truth and the prediction. Mean squares of rows (items), columns (raters) and rest.
    """
    count, t, p, tt, pp, tp, _ = sums.T
    centre = (t + p) ** 2 / (2 * count)
    rows = (tt + 2 * tp + pp) / 2 - centre
    columns = (t**2 + p**2) / count - centre
    rest = (tt + pp - centre - rows - columns) / (count - 1)
    rows = rows / (count - 1)
    found: Floats = (rows - rest) / (rows + rest + 2 * (columns - rest) / count)
    return found


def _deviation(sums: Floats) -> Floats:
    count = sums[:, 0]
    squares = sums[:, 4] - 2 * sums[:, 5] + sums[:, 3]
    spread = squares - (sums[:, 2] - sums[:, 1]) ** 2 / count
    return np.sqrt(np.maximum(spread, 0) / (count - 1))
