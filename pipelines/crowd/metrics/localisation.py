"""Which predicted points are heads: one-to-one, within a distance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import KDTree

SIGMAS_PX: Final = (4.0, 8.0)  # the usual ones for ShanghaiTech A


@dataclass(frozen=True, slots=True)
class Hits:
    """matched: pairs of a true and a predicted head. false: predicted heads without a true one. missed: true
    heads without a predicted one."""

    matched: int
    false: int
    missed: int


@dataclass(frozen=True, slots=True)
class Localisation:
    """Over all images together; None where there is nothing to divide by."""

    precision: float | None
    recall: float | None
    f1: float | None


def match(true: ArrayLike, predicted: ArrayLike, sigma: ArrayLike) -> NDArray[np.int64]:
    """As many pairs as there can be of a true and a predicted point at most `sigma` apart: int64 (pairs, 2).

    Each point is in one pair at most. true (N, 2) and predicted (M, 2) in px; sigma in px, one for all or
    (N,) one for each true point, as NWPU-Crowd has them from boxes. The number of pairs is that of a maximum
    matching (Hopcroft and Karp, 1973), so no order of the points and no score changes it.
    """
    truth, guess = (np.asarray(one, np.float64).reshape(-1, 2) for one in (true, predicted))
    reach = np.broadcast_to(np.asarray(sigma, np.float64), (len(truth),))
    if not len(truth) or not len(guess):
        return np.empty((0, 2), np.int64)
    if not (np.isfinite(reach).all() and reach.min() >= 0):
        raise ValueError("the distance for a match must be 0 or more")
    near = KDTree(guess).query_ball_point(truth, reach)
    counts = np.array([len(one) for one in near])
    columns = np.concatenate([np.asarray(one, np.int64) for one in near])
    rows = np.repeat(np.arange(len(truth)), counts)
    graph = csr_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(len(truth), len(guess)))
    partner = maximum_bipartite_matching(graph, perm_type="column")
    found = np.flatnonzero(partner >= 0)
    return np.stack([found, partner[found]], axis=1).astype(np.int64)


def hits(true: ArrayLike, predicted: ArrayLike, sigma: ArrayLike) -> Hits:
    """The counts of one image; see `match`."""
    matched = len(match(true, predicted, sigma))
    total, guessed = (len(np.asarray(one, np.float64).reshape(-1, 2)) for one in (true, predicted))
    return Hits(matched, guessed - matched, total - matched)


def localisation(images: Iterable[Hits]) -> Localisation:
    """Precision, recall and F1 of the counts of all images together (micro-averaged)."""
    listed = list(images)
    matched = sum(one.matched for one in listed)
    false = sum(one.false for one in listed)
    missed = sum(one.missed for one in listed)
    return Localisation(
        matched / (matched + false) if matched + false else None,
        matched / (matched + missed) if matched + missed else None,
        2 * matched / (2 * matched + false + missed) if matched + false + missed else None,
    )
