"""What every inspected wafer shows besides its pattern: scattered defects and small events of no meaning."""

from __future__ import annotations

import numpy as np

from pipelines.wafer.generate.shapes import Points, along, blurred, disk, polar, segment, somewhere, turned


def background(rng: np.random.Generator, n: int, radius: float) -> Points:
    """About `n` random defects (N, 2) in mm on a wafer of `radius` mm, in part clustered and uneven.

    The clustered part is a Neyman-Scott process (Neyman and Scott, 1958), the usual model of defect counts
    on wafers; the uneven part thins the defects along a direction or along the radius.
    """
    clustered = int(n * rng.uniform(0.1, 0.5)) if rng.random() < 0.35 else 0
    points = np.concatenate([disk(rng, n - clustered, radius), _neyman_scott(rng, clustered, radius)])
    if rng.random() < 0.4:
        points = _uneven(rng, points, radius)
    return points


def distractor(rng: np.random.Generator, radius: float) -> Points:
    """A small cluster or a short scratch, below what makes a class."""
    n = int(rng.integers(4, 13))
    if rng.random() < 0.5:
        event = rng.normal(0, rng.uniform(0.3, 1.2), (n, 2))
    else:
        length = rng.uniform(0.03, 0.12) * radius
        event = turned(along(rng, segment((0, 0), (length, 0)), n), rng.uniform(0, 2 * np.pi))
        event = blurred(rng, event, 0.1)
    return event + somewhere(rng, 0.95 * radius)


def _neyman_scott(rng: np.random.Generator, n: int, radius: float) -> Points:
    # A few defects to each parent: more would be a cluster that makes a class of its own.
    parents = disk(rng, int(max(4, n / rng.uniform(4, 9))), radius)
    weights = rng.dirichlet(np.full(len(parents), 3.0))
    return blurred(rng, parents[rng.choice(len(parents), n, p=weights)], rng.uniform(0.01, 0.06) * radius)


def _uneven(rng: np.random.Generator, points: Points, radius: float) -> Points:
    strength = rng.uniform(0.2, 0.8)
    if rng.random() < 0.5:
        direction = polar(np.ones(1), rng.uniform(0, 2 * np.pi, 1))[0]
        level = (points @ direction / radius + 1) / 2
    else:
        level = np.hypot(points[:, 0], points[:, 1]) / radius
        level = level if rng.random() < 0.7 else 1 - level
    kept: Points = points[rng.random(len(points)) > strength * (1 - level)]
    return kept
