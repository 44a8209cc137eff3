"""Honest intervals of counts: what a network thinks of its own error, scaled by how wrong it was (conformal).

A network that gives each block a variance says how uncertain the blocks are one by one. Errors of blocks are
not independent: a crowd that is half hidden is counted too low everywhere. So the deviation of a sum is taken
to lie between that of independent blocks, sqrt(sum of variances), and that of blocks that err together, the
sum of deviations:

    s^2 = variance + (share * deviations)^2 + 1/4

`share` is the one most likely for the errors on held-out images, under a Laplace distribution; the last part
keeps an image without anybody from a width of 0. An interval is count -+ q s, with q the quantile of
|true - count| / s over the held-out images: split conformal prediction (Lei et al., 2018) with a
normalised score. It covers the truth with the chosen probability for images like these.

A network without variances is taken to count like a Poisson process: its variance is its count, and so is the
sum of its deviations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.common.conformal import reach_of

CONFIDENCE: Final = 0.9
SHARE, SCORES = "interval.share", "interval.scores"
_FLOOR: Final = 0.25
_SHARES: Final = np.concatenate([[0.0], np.geomspace(0.005, 2.0, 60)])

Floats = NDArray[np.float64]


def calibrate(
    true: Sequence[float],
    counts: Sequence[float],
    variances: Sequence[float | None],
    deviations: Sequence[float | None],
) -> dict[str, Tensor]:
    """What a model folder keeps for `interval`: `interval.share` () and `interval.scores` (N,), sorted.

    All of one length N, a number for each held-out image: how many people there are, how many were counted,
    and the sums over its blocks of variances and of standard deviations. Empty without images.
    """
    if not len(true):
        return {}
    errors = np.abs(np.asarray(true, np.float64) - np.asarray(counts, np.float64))
    parts = np.array([_parts(*one) for one in zip(counts, variances, deviations, strict=True)])
    share = min(_SHARES, key=lambda one: _misfit(errors, _spread(parts, one)))
    scores = np.sort(errors / _spread(parts, share))
    return {SHARE: torch.tensor(share, dtype=torch.float64), SCORES: torch.from_numpy(scores)}


def interval(
    count: float,
    variance: float | None,
    deviations: float | None,
    calibration: Mapping[str, Tensor],
    confidence: float = CONFIDENCE,
) -> tuple[float, float] | None:
    """Where the true number lies with this confidence: (low, high), low at least 0.

    variance, deviations: sums over the blocks of the image, or of a part of it, of their variances and of
    their standard deviations. None if the model was not calibrated, or on too few images for this confidence:
    0.9 needs 9.
    """
    if SCORES not in calibration or SHARE not in calibration:
        return None
    times = reach_of(calibration[SCORES], confidence)
    if times is None:
        return None
    spread = float(_spread(np.array([_parts(count, variance, deviations)]), float(calibration[SHARE]))[0])
    reach = times * spread
    return max(0.0, count - reach), max(0.0, count + reach)


def cross_intervals(
    true: Sequence[float],
    counts: Sequence[float],
    variances: Sequence[float | None],
    deviations: Sequence[float | None],
    confidence: float = CONFIDENCE,
) -> list[tuple[float, float] | None]:
    """The interval of each held-out image, calibrated on all the others: what coverage is measured with."""
    found = []
    for left_out in range(len(true)):
        others = [number for number in range(len(true)) if number != left_out]
        calibration = calibrate(
            [true[i] for i in others],
            [counts[i] for i in others],
            [variances[i] for i in others],
            [deviations[i] for i in others],
        )
        one = counts[left_out], variances[left_out], deviations[left_out]
        found.append(interval(*one, calibration, confidence))
    return found


def _parts(count: float, variance: float | None, deviations: float | None) -> tuple[float, float]:
    if variance is None or deviations is None:
        return max(count, 0.0), max(count, 0.0)
    return variance, deviations


def _spread(parts: Floats, share: float) -> Floats:
    return np.asarray(np.sqrt(parts[:, 0] + (share * parts[:, 1]) ** 2 + _FLOOR))


def _misfit(errors: Floats, spread: Floats) -> float:
    """Negative log-likelihood, without constants, of Laplace errors whose scale is best times the spread."""
    return float(np.log(spread).mean() + np.log((errors / spread).mean() + 1e-12))
