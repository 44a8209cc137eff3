"""Clusters of made-up latents, in as many dimensions as real ones, with the noise that known maps have."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.wafer.discover.clusters import cluster

DIMENSIONS = 32


def pattern(count: int, axis: int, far: float = 10.0, seed: int = 0) -> NDArray[np.float64]:
    """Latents (count, DIMENSIONS) of one pattern, `far` from the known maps along an axis."""
    points = np.random.default_rng([seed, axis]).normal(0, 1, (count, DIMENSIONS))
    points[:, axis] += far
    return points


@pytest.mark.parametrize("count", [6, 15, 60, 300])
def test_one_pattern_is_one_cluster(count: int) -> None:
    for seed in range(3):
        labels, similarity = cluster(pattern(count, 0, seed=seed), 5)
        assert labels.max() == 0
        assert (labels == 0).mean() > 0.9
        assert ((similarity > 0.7) == (labels == 0)).all()


@pytest.mark.parametrize("sizes", [(20, 20), (200, 12), (9, 8, 7, 6)])
def test_patterns_are_told_apart_whatever_their_sizes(sizes: tuple[int, ...]) -> None:
    labels, _ = cluster(np.concatenate([pattern(size, axis) for axis, size in enumerate(sizes)]), 5)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    assert labels.max() + 1 == len(sizes)
    for number in range(len(sizes)):
        found = labels[truth == number]
        assert len(np.unique(found[found >= 0])) == 1
        assert (found >= 0).mean() > 0.8


def test_a_pattern_is_one_however_strong_it_is() -> None:
    points = np.concatenate([pattern(15, 0, far) for far in (10.0, 20.0, 60.0)])
    labels, _ = cluster(points, 5)
    assert set(labels.tolist()) <= {0, -1}
    assert (labels == 0).mean() > 0.9


def test_scattered_maps_are_in_no_cluster() -> None:
    assert cluster(30 * np.eye(12), 5)[0].tolist() == [-1] * 12
    scattered = np.random.default_rng(3).normal(0, 10, (100, DIMENSIONS))
    assert (cluster(scattered, 5)[0] >= 0).mean() < 0.1
    assert (cluster(np.zeros((8, 3)), 5)[0] == -1).all()


@pytest.mark.parametrize("min_size", [2, 5, 12])
def test_no_cluster_is_smaller_than_asked(min_size: int) -> None:
    points = np.concatenate([pattern(size, axis) for axis, size in enumerate((3, 6, 14))])
    labels, similarity = cluster(points, min_size)
    sizes = np.bincount(labels[labels >= 0])
    assert (sizes[sizes > 0] >= min_size).all()
    assert (similarity[labels < 0] == 0).all()
