"""How honest the intervals of counts are, and how wide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class IntervalScores:
    """coverage: share of images whose true count lies in the interval, its ends included. width: mean, in
    people.
    relative_width: sum of the widths over the sum of the true counts; None if nobody is there."""

    coverage: float
    width: float
    relative_width: float | None


def interval_scores(true: ArrayLike, low: ArrayLike, high: ArrayLike) -> IntervalScores:
    """Of true counts and ends of intervals, each (images,), in people."""
    truth, lower, upper = (np.asarray(one, np.float64) for one in (true, low, high))
    if truth.ndim != 1 or not truth.shape == lower.shape == upper.shape or not len(truth):
        raise ValueError("true counts and both ends of the intervals must be rows of one length")
    if not (np.isfinite(truth).all() and np.isfinite(lower).all() and np.isfinite(upper).all()):
        raise ValueError("true counts and the ends of intervals must be finite")
    if (lower > upper).any():
        raise ValueError("an interval must not end below its beginning")
    widths = upper - lower
    people = float(truth.sum())
    return IntervalScores(
        float(((lower <= truth) & (truth <= upper)).mean()),
        float(widths.mean()),
        float(widths.sum()) / people if people > 0 else None,
    )
