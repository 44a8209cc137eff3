"""Clusters of latents by the direction in which they lie from the known maps."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Cosines. A map belongs to a cluster whose mean it lies so near to; two clusters whose means do are one.
MEMBER, SAME = 0.7, 0.8
NEIGHBOURS: Final = 3  # of a map in a dense place, itself among them

Floats = NDArray[np.float64]


def cluster(points: Floats, min_size: int) -> tuple[NDArray[np.int64], Floats]:
    """Cluster (N,), -1 for none, and cosine (N,) to its mean, of latents (N, D) of novel maps.

    The origin is the mean of the known maps. A pattern shows in the way in which its maps lie from there;
    how far they lie shows how strong it is. So directions are compared. HDBSCAN (Campello, Moulavi and
    Sander, 2013) finds where they are dense, without being told how many such places there are; a map that
    lies the same way as one of them belongs to it.
    """
    from sklearn.cluster import HDBSCAN

    unit = _unit(points)
    settings = {"min_cluster_size": min_size, "min_samples": min(NEIGHBOURS, min_size), "copy": True}
    dense = HDBSCAN(**settings).fit(unit).labels_
    if dense.max() < 0:  # by itself it never finds just one
        dense = HDBSCAN(**settings, allow_single_cluster=True).fit(unit).labels_
    ways = _ways(unit, dense)
    nearest, cosine = _nearest(unit, ways)
    for number in range(len(ways)):
        if (nearest == number).sum() < min_size:
            nearest[nearest == number] = -1
    return nearest, np.where(nearest >= 0, cosine, 0.0)


def _ways(unit: Floats, dense: NDArray[np.int64]) -> Floats:
    """The directions (K, D) of the dense places; those that hardly differ are one.

    HDBSCAN finds several in the noise of a single pattern.
    """
    groups = [unit[dense == number] for number in range(dense.max() + 1)]
    while len(groups) > 1:
        means = _unit(np.stack([group.mean(0) for group in groups]))
        cosine = np.triu(means @ means.T, 1)
        first, second = np.unravel_index(cosine.argmax(), cosine.shape)
        if cosine[first, second] < SAME:
            break
        groups[first] = np.concatenate([groups[first], groups.pop(int(second))])
    return _unit(np.stack([group.mean(0) for group in groups])) if groups else np.empty((0, unit.shape[1]))


def _nearest(unit: Floats, ways: Floats) -> tuple[NDArray[np.int64], Floats]:
    if not len(ways):
        return np.full(len(unit), -1), np.zeros(len(unit))
    cosine = unit @ ways.T
    best: Floats = np.minimum(cosine.max(1), 1.0)
    return np.where(best >= MEMBER, cosine.argmax(1), -1), best


def _unit(points: Floats) -> Floats:
    length: Floats = np.linalg.norm(points, axis=1, keepdims=True)
    return points / np.maximum(length, 1e-12)
