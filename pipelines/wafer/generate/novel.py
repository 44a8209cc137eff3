"""Patterns of no known class, to test the recognition of novelty: float64 (N, 2) in mm from the centre."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipelines.wafer.generate.shapes import (
    Points,
    along,
    arc,
    blurred,
    count,
    disk,
    polar,
    segment,
    somewhere,
    turned,
)


def spiral(rng: np.random.Generator, diameter_mm: float) -> Points:
    """An Archimedean spiral of two to four turns."""
    radius = diameter_mm / 2
    turns = rng.uniform(2.0, 4.0)
    part = np.linspace(0.04, 1, 400)
    line = polar(rng.uniform(0.65, 0.95) * radius * part, 2 * np.pi * turns * part)
    line = line * [rng.choice([-1.0, 1.0]), 1.0]
    return _placed(rng, along(rng, line, count(rng, 900, low=400), 0.5), radius, width=0.008)


def cross(rng: np.random.Generator, diameter_mm: float) -> Points:
    """Two broad bars that cross at right angles."""
    radius = diameter_mm / 2
    n = count(rng, 800, low=250)
    long, wide = rng.uniform(0.5, 0.9) * radius, rng.uniform(0.07, 0.14) * radius
    bar = rng.uniform(-1, 1, (n, 2)) * [long, wide]
    upright = rng.random(n) < 0.5
    bar[upright] = bar[upright][:, ::-1]
    return _placed(rng, bar, radius, width=0.005)


def checkerboard(rng: np.random.Generator, diameter_mm: float) -> Points:
    """Every second field of a board is dense."""
    radius = diameter_mm / 2
    points = disk(rng, 2 * count(rng, 2000, low=900, high=10_000), radius)
    field = rng.uniform(0.22, 0.4) * radius
    dense = (np.floor(points / field + rng.uniform(0, 1, 2)).sum(axis=1) % 2) == 0
    return turned(points[dense], rng.normal(0, 0.05))


def starburst(rng: np.random.Generator, diameter_mm: float) -> Points:
    """Five to nine straight rays from one point."""
    radius = diameter_mm / 2
    rays = int(rng.integers(5, 10))
    n = count(rng, 110 * rays, low=50 * rays)
    angle = 2 * np.pi * (rng.integers(0, rays, n) + 0.5) / rays
    points = polar(rng.uniform(0.1, rng.uniform(0.6, 0.95), n) * radius, angle)
    return _placed(rng, points, radius, width=0.008)


def smiley(rng: np.random.Generator, diameter_mm: float) -> Points:
    """Two eyes and a mouth."""
    radius = diameter_mm / 2
    n = count(rng, 250, low=120, high=4000)
    eye = rng.uniform(0.07, 0.11) * radius
    apart, up = rng.uniform(0.25, 0.4) * radius, rng.uniform(0.2, 0.35) * radius
    mouth = along(rng, arc(rng.uniform(0.45, 0.65) * radius, 1.15 * np.pi, 1.85 * np.pi), 2 * n)
    eyes = [disk(rng, n, eye) + np.array([side * apart, up]) for side in (-1, 1)]
    return np.concatenate([*eyes, blurred(rng, mouth, 0.02 * radius)]) + somewhere(rng, 0.15 * radius)


def arrow(rng: np.random.Generator, diameter_mm: float) -> Points:
    """A thick arrow: a shaft and two barbs."""
    radius = diameter_mm / 2
    n = count(rng, 250, low=110, high=4000)
    tip, barb = rng.uniform(0.5, 0.8) * radius, rng.uniform(0.3, 0.45) * radius
    strokes = [
        segment((-tip, 0.0), (tip, 0.0)),
        segment((tip, 0.0), (tip - barb, barb)),
        segment((tip, 0.0), (tip - barb, -barb)),
    ]
    parts = [along(rng, stroke, m) for stroke, m in zip(strokes, (2 * n, n, n), strict=True)]
    return _placed(rng, np.concatenate(parts), radius, width=0.02)


def _placed(rng: np.random.Generator, points: Points, radius: float, width: float) -> Points:
    points = blurred(rng, points, width * radius)
    return turned(points, rng.uniform(0, 2 * np.pi)) + somewhere(rng, 0.15 * radius)


NOVEL_PATTERNS: dict[str, Callable[[np.random.Generator, float], Points]] = {
    "arrow": arrow,
    "checkerboard": checkerboard,
    "cross": cross,
    "smiley": smiley,
    "spiral": spiral,
    "starburst": starburst,
}
