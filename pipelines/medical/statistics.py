"""Tests and intervals for scores of several methods on the same cases.

All of them take paired numbers: entry i of each method belongs to case i.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr, ndtri
from scipy.stats import rankdata

Floats = NDArray[np.float64]
EXACT_UP_TO: Final = 14  # cases: 16,384 ways to turn the signs
MIN_DRAWS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Friedman:
    """statistic: chi-square, corrected for ties. p: from the chi-square distribution."""

    statistic: float
    p: float


@dataclass(slots=True)
class Resampler:
    """The random draws of permutation tests and bootstraps: the same for each number of cases, from one seed.

    The draws for the last number of cases are kept, since labels of a comparison mostly have equally many.
    """

    seed: int = 0
    draws: int = 10_000
    _kept: dict[str, tuple[int, NDArray[np.float32]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.draws < MIN_DRAWS:
            raise ValueError(f"at least {MIN_DRAWS:,} draws are needed, not {self.draws:,}")

    def signs(self, count: int) -> NDArray[np.float32]:
        """1 and -1, float32 (draws, count)."""
        if self._kept.get("signs", (0,))[0] != count:
            rng = np.random.default_rng([self.seed, 1, count])
            drawn = rng.integers(0, 2, (self.draws, count), dtype=np.int8)
            self._kept["signs"] = count, (2 * drawn - 1).astype(np.float32)
        return self._kept["signs"][1]

    def weights(self, count: int) -> NDArray[np.float32]:
        """How often a bootstrap sample holds each case, over the number of cases; float32 (draws, count)."""
        if self._kept.get("weights", (0,))[0] != count:
            rng = np.random.default_rng([self.seed, 2, count])
            weights = np.zeros((self.draws, count), np.float32)
            for row in weights:
                row += np.bincount(rng.integers(0, count, count), minlength=count)
            self._kept["weights"] = count, weights / np.float32(count)
        return self._kept["weights"][1]


def friedman(scores: Floats) -> Friedman | None:
    """Whether methods differ at all (Friedman, 1937). scores: (cases, methods), three methods or more.

    None for fewer than two cases or three methods. Where all methods tie in every case, p is 1.
    """
    cases, methods = scores.shape
    if cases < 2 or methods < 3:
        return None
    ranks = rankdata(scores, axis=1)
    spread = float(((ranks - (methods + 1) / 2) ** 2).sum())
    if spread == 0:
        return Friedman(0.0, 1.0)
    between = float(((ranks.sum(0) - cases * (methods + 1) / 2) ** 2).sum())
    statistic = (methods - 1) * between / spread
    return Friedman(statistic, float(chdtrc(methods - 1, statistic)))


def permutation_p(differences: Floats, resampler: Resampler) -> float | None:
    """Two-tailed p of a paired permutation test: how often other signs give a mean as far from 0.

    differences: (cases,). Exact, over all signs, up to EXACT_UP_TO cases; else over the resampler's draws,
    with one added to both counts so that p is never 0 (Phipson and Smyth, 2010). None without cases.
    """
    count = len(differences)
    if count == 0:
        return None
    exact = count <= EXACT_UP_TO
    sums = (_all_signs(count) if exact else resampler.signs(count)) @ differences
    rounding = 1e-12 * float(np.abs(differences).sum())
    as_far = int(np.count_nonzero(np.abs(sums) >= abs(float(differences.sum())) - rounding))
    return as_far / len(sums) if exact else (as_far + 1) / (len(sums) + 1)


@cache
def _all_signs(count: int) -> NDArray[np.float32]:
    """All signs of `count` numbers with the first one fixed: the other half mirrors these."""
    return np.array([(1, *rest) for rest in itertools.product((1, -1), repeat=count - 1)], np.float32)


def adjusted(p_values: Floats) -> Floats:
    """p-values adjusted for their number (Benjamini and Hochberg, 1995): (N,) to (N,), in the same order.

    Those at most 0.05 hold a share of 5% of false discoveries at most, on average.
    """
    order = np.argsort(-p_values)
    scaled = p_values[order] * len(p_values) / np.arange(len(p_values), 0, -1)
    found = np.empty_like(p_values)
    found[order] = np.minimum(np.minimum.accumulate(scaled), 1.0)
    return found


def mean_interval(
    values: Floats, resampler: Resampler, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Bootstrap interval of a mean, bias-corrected and accelerated (BCa; Efron, 1987). values: (cases,).

    None for fewer than two cases; where all values are equal, both ends are that value.
    """
    count = len(values)
    if count < 2:
        return None
    mean = float(values.mean())
    apart = values - mean
    squares = float((apart**2).sum())
    if squares <= (1e-12 * float(np.abs(values).max())) ** 2 * count:
        return mean, mean
    # Of the values less their mean, so that float32 weights cost no digits of the mean itself.
    means = np.sort(resampler.weights(count) @ apart)
    below = (np.searchsorted(means, 0.0, "left") + np.searchsorted(means, 0.0, "right")) / 2
    bias = ndtri(np.clip(below / len(means), 1 / len(means), 1 - 1 / len(means)))
    acceleration = float((apart**3).sum()) / (
        6 * squares**1.5
    )  # the jackknife's, which a mean has in closed form
    tail = ndtri(np.array([(1 - confidence) / 2, (1 + confidence) / 2]))
    shares = ndtr(bias + (bias + tail) / (1 - acceleration * (bias + tail)))
    low, high = np.quantile(means, shares)
    return mean + float(low), mean + float(high)


def cohens_d(differences: Floats) -> float | None:
    """Mean over standard deviation of paired differences (Cohen's d_z); None if that is not defined."""
    if len(differences) < 2:
        return None
    deviation = float(differences.std(ddof=1))
    if deviation <= 1e-12 * float(np.abs(differences).max()):
        return None
    return float(differences.mean()) / deviation


def rank_biserial(differences: Floats) -> float | None:
    """Matched-pairs rank-biserial correlation (Kerby, 2014): 1 if all are positive, -1 if all are negative.

    The ranks of positive sizes less those of negative ones, over their sum. None if all differences are 0.
    """
    ranks = rankdata(np.abs(differences[differences != 0]))
    if not len(ranks):
        return None
    signs = np.sign(differences[differences != 0])
    return float((ranks * signs).sum() / ranks.sum())
