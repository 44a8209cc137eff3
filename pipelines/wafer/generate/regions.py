"""Patterns that fill an area of the wafer. Every function returns float64 (N, 2) in mm from the centre."""

from __future__ import annotations

import numpy as np

from pipelines.wafer.generate.shapes import (
    Points,
    blob,
    blurred,
    count,
    disk,
    log_uniform,
    polar,
    somewhere,
    turned,
    with_gaps,
)


def cluster_small(rng: np.random.Generator, diameter_mm: float) -> Points:
    """A compact cluster; its largest sizes meet the smallest of `cluster_big`."""
    radius = diameter_mm / 2
    size = log_uniform(rng, 0.03, 0.11) * radius
    return blob(rng, count(rng, 120, low=25, high=1500), size) + somewhere(rng, 0.93 * radius)


def cluster_big(rng: np.random.Generator, diameter_mm: float) -> Points:
    """A wide, irregular cluster, often cut by the wafer's edge."""
    radius = diameter_mm / 2
    size = log_uniform(rng, 0.10, 0.36) * radius
    n = count(rng, 350 * (1 + 6 * size / radius), low=80)
    return blob(rng, n, size) + somewhere(rng, 0.85 * radius)


def donut(rng: np.random.Generator, diameter_mm: float) -> Points:
    """A broad, soft annulus around the middle, often with a weaker side."""
    radius = diameter_mm / 2
    n = count(rng, 900, low=200)
    middle = rng.uniform(0.32, 0.62) * radius
    width = rng.uniform(0.05, 0.11) * radius
    angle = rng.uniform(0, 2 * np.pi, n)
    points = polar(rng.normal(middle, width, n), angle) * rng.uniform(0.88, 1.12, 2)
    weaker = 1 - rng.uniform(0, 0.7) * (0.5 + 0.5 * np.cos(angle - rng.uniform(0, 2 * np.pi)))
    return points[rng.random(n) < weaker] + somewhere(rng, 0.12 * radius)


def ring(rng: np.random.Generator, diameter_mm: float) -> Points:
    """One to three thin rings around the centre, most often near the edge, with gaps."""
    radius = diameter_mm / 2
    rings = []
    at = rng.uniform(0.85, 0.975) if rng.random() < 0.6 else rng.uniform(0.35, 0.9)
    for _ in range(int(rng.choice([1, 2, 3], p=[0.65, 0.25, 0.1]))):
        n = count(rng, 350, low=120)
        angle = rng.uniform(0, 2 * np.pi, n)
        points = polar(at * radius + rng.normal(0, rng.uniform(0.003, 0.014) * radius, n), angle)
        rings.append(points[with_gaps(rng, angle, most=2, width=1.3)])
        at = max(at - rng.uniform(0.07, 0.25), 0.2)
    return np.concatenate(rings) + rng.normal(0, 0.004 * radius, 2)


def pie_slice(rng: np.random.Generator, diameter_mm: float) -> Points:
    """A dense sector with its tip near the centre."""
    radius = diameter_mm / 2
    n = count(rng, 700, low=120)
    half = np.deg2rad(rng.uniform(9, 38))
    tip = rng.uniform(0, 0.15) if rng.random() < 0.7 else rng.uniform(0.15, 0.4)
    power = rng.uniform(0.42, 0.65)
    angle = rng.uniform(-half, half, n) + rng.normal(0, 0.03, n)
    points = polar(radius * np.maximum(tip, rng.random(n) ** power), angle)
    points = points[np.hypot(points[:, 0], points[:, 1]) > 1.001 * tip * radius]
    return turned(points, rng.uniform(0, 2 * np.pi)) + somewhere(rng, 0.04 * radius)


def half_moon(rng: np.random.Generator, diameter_mm: float) -> Points:
    """A dense crescent along the edge, up to half of the wafer."""
    radius = diameter_mm / 2
    n = count(rng, 1000, low=200)
    thick = rng.uniform(0.22, 0.8)
    # The inner rim is a circle (crescent) or nearly a line (half of the wafer).
    bend = log_uniform(rng, 1.0, 1.6) if rng.random() < 0.7 else log_uniform(rng, 1.6, 12.0)
    centre = np.array([1 - thick - bend, 0.0]) * radius

    points = disk(rng, 8 * n, radius)
    depth = (np.hypot(*(points - centre).T) / radius - bend) / thick
    # Denser towards the edge by a random degree, and never more than n.
    chance = np.clip(depth + 0.15, 0, 1) ** rng.uniform(0.0, 0.8)
    points = points[(depth > 0) & (rng.random(len(points)) < chance)][:n]
    return turned(blurred(rng, points, rng.uniform(0.003, 0.02) * radius), rng.uniform(0, 2 * np.pi))


def incomplete(rng: np.random.Generator, diameter_mm: float) -> Points:
    """Dense all over except for a part of the wafer that the process or the tool left out."""
    radius = diameter_mm / 2
    n = count(rng, 3000, low=700)
    points = disk(rng, n, radius)
    x, y = turned(points, rng.choice([0.0, 0.5, 1.0, 1.5]) * np.pi + rng.normal(0, 0.03)).T / radius
    kind = rng.choice(["sector", "band", "rest", "stopped"])
    if kind == "sector":
        half = np.deg2rad(rng.uniform(20, 70))
        turn = rng.uniform(0, 2 * np.pi)
        missing = np.abs((np.arctan2(y, x) - turn + np.pi) % (2 * np.pi) - np.pi) < half
    elif kind == "band":
        middle, half = rng.uniform(-0.55, 0.55), rng.uniform(0.07, 0.25)
        missing = np.abs(x - middle) < half
    elif kind == "rest":
        missing = x > rng.uniform(0.05, 0.6)
    else:
        # A raster that stopped within a row of fields.
        row = rng.uniform(0.06, 0.2)
        last, column = rng.uniform(0.0, 0.5), rng.uniform(-0.6, 0.6)
        missing = (y > last + row) | ((y > last) & (x > column))
    kept: Points = points[~missing]
    return kept
