"""Building blocks of synthetic defect patterns: points are float64 (N, 2) in mm from the wafer's centre."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def count(
    rng: np.random.Generator, median: float, low: int = 20, high: int = 20_000, spread: float = 0.8
) -> int:
    """A log-normal number of defects within [low, high]."""
    return int(np.clip(rng.lognormal(np.log(median), spread), low, high))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def turned(points: Points, angle: float) -> Points:
    """Points (N, 2) turned counter-clockwise by `angle` in radians around the centre."""
    c, s = np.cos(angle), np.sin(angle)
    x, y = points.T
    return np.stack([c * x - s * y, s * x + c * y], axis=1)


def polar(radius: NDArray[np.float64], angle: NDArray[np.float64]) -> Points:
    """Cartesian points (N, 2) of radii (N,) in mm and angles (N,) in radians."""
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def disk(rng: np.random.Generator, n: int, radius: float) -> Points:
    """`n` points spread evenly over a disk."""
    return polar(radius * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n))


def somewhere(rng: np.random.Generator, radius: float) -> Points:
    """One point (1, 2) spread evenly over a disk."""
    return disk(rng, 1, radius)


def blurred(rng: np.random.Generator, points: Points, sigma: float) -> Points:
    moved: Points = points + rng.normal(0, sigma, points.shape)
    return moved


def along(rng: np.random.Generator, line: Points, n: int, regular: float = 0.0) -> Points:
    """`n` points on a polyline (K, 2), evenly by length; `regular` from 0 (random) to 1 (equally spaced)."""
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    spaced = (np.arange(n) + 0.5) / max(n, 1)
    at = lengths[-1] * (regular * spaced + (1 - regular) * rng.random(n))
    return np.stack([np.interp(at, lengths, line[:, 0]), np.interp(at, lengths, line[:, 1])], axis=1)


def arc(
    radius: float, start: float, stop: float, centre: tuple[float, float] = (0.0, 0.0), steps: int = 96
) -> Points:
    """A polyline (steps, 2) on a circle from the angle `start` to `stop` in radians."""
    at = polar(np.full(steps, radius), np.linspace(start, stop, steps))
    return np.stack([at[:, 0] + centre[0], at[:, 1] + centre[1]], axis=1)


def segment(start: tuple[float, float], stop: tuple[float, float]) -> Points:
    return np.array([start, stop], dtype=np.float64)


def with_gaps(
    rng: np.random.Generator, angle: NDArray[np.float64], most: int, width: float
) -> NDArray[np.bool_]:
    """Which of the angles (N,) in radians lie outside up to `most` random gaps of at most `width` radians."""
    gaps = int(rng.integers(0, most + 1))
    middle = rng.uniform(0, 2 * np.pi, (gaps, 1))
    half = rng.uniform(0.1, 0.5, (gaps, 1)) * width
    away = np.abs((angle - middle + np.pi) % (2 * np.pi) - np.pi)
    return np.asarray((away > half).all(axis=0))


def blob(rng: np.random.Generator, n: int, size: float) -> Points:
    """An irregular cluster around the origin: one to five overlapping ellipses with fading rims."""
    lobes = int(rng.integers(1, 6))
    centres = rng.normal(0, 0.4 * size, (lobes, 2)) * (lobes > 1)
    axes = size * rng.uniform(0.45, 1.0, (lobes, 2))
    which = rng.choice(lobes, n, p=rng.dirichlet(np.full(lobes, 3.0)))
    radial = rng.random(n) ** rng.uniform(0.4, 0.9)
    unit = polar(radial + 0.08 * rng.standard_normal(n), rng.uniform(0, 2 * np.pi, n))
    return turned(centres[which] + unit * axes[which], rng.uniform(0, 2 * np.pi))
