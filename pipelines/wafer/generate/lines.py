"""Patterns made of lines. Every function returns float64 (N, 2) in mm from the wafer's centre."""

from __future__ import annotations

import numpy as np

from pipelines.wafer.generate.shapes import (
    Points,
    along,
    arc,
    blurred,
    count,
    disk,
    log_uniform,
    polar,
    segment,
    somewhere,
    turned,
)


def basketball(rng: np.random.Generator, diameter_mm: float) -> Points:
    """The seams of a basketball: one or two lines through the middle and on each side a bulging curve."""
    radius = diameter_mm / 2
    bend = rng.uniform(0.55, 1.1) * radius
    reach = rng.uniform(0.28, 0.6) * radius
    right = arc(bend, np.pi - 1.45, np.pi + 1.45, (reach + bend, 0.0))
    left = -right * [rng.uniform(0.85, 1.15), 1.0]
    seams = [left, right, _bowed(rng, radius)]
    if rng.random() < 0.75:
        seams.append(turned(_bowed(rng, radius), np.pi / 2))
    n = count(rng, 160, low=60, high=5000)
    width = log_uniform(rng, 0.002, 0.014) * radius
    points = [along(rng, seam, int(n * rng.uniform(0.6, 1.2)), rng.uniform(0, 0.8)) for seam in seams]
    whole = blurred(rng, np.concatenate(points), width)
    return turned(whole, rng.uniform(0, 2 * np.pi)) + somewhere(rng, 0.08 * radius)


def _bowed(rng: np.random.Generator, radius: float) -> Points:
    """A vertical line through the middle, bowed a little as on a ball that is seen from the side."""
    y = np.linspace(-radius, radius, 64)
    return np.stack([rng.uniform(-0.1, 0.1) * radius * (1 - (y / radius) ** 2), y], axis=1)


def fingerprints(rng: np.random.Generator, diameter_mm: float) -> Points:
    """Two to five patches of concentric ridges, scattered or side by side as left by a hand."""
    radius = diameter_mm / 2
    patches = int(rng.integers(2, 6))
    size = rng.uniform(0.13, 0.24) * radius
    if rng.random() < 0.5:
        fan = np.linspace(-0.5, 0.5, patches) * patches * rng.uniform(2.0, 2.4) * size / (0.75 * radius)
        centres = polar(np.full(patches, 0.75 * radius), fan + rng.normal(0, 0.06, patches))
        centres = turned(centres, rng.uniform(0, 2 * np.pi)) - somewhere(rng, 0.25 * radius)
    else:
        centres = _apart(rng, patches, 2.0 * size, 0.8 * radius)
    heading = rng.uniform(0, 2 * np.pi)
    n = count(rng, 350, low=150, high=4000, spread=0.6)
    return np.concatenate(
        [_print(rng, n, size, heading + rng.normal(0, 0.25)) + centre for centre in centres]
    )


def _apart(rng: np.random.Generator, n: int, distance: float, radius: float) -> Points:
    """Up to `n` points in a disk that keep their distance."""
    candidates = disk(rng, 12 * n, radius)
    kept = [candidates[0]]
    for candidate in candidates[1:]:
        if len(kept) < n and min(np.hypot(*(candidate - other)) for other in kept) > distance:
            kept.append(candidate)
    return np.array(kept)


def _print(rng: np.random.Generator, n: int, size: float, heading: float) -> Points:
    """One finger: an ellipse of ridges around an off-centre core (whorl) or open to one side (arch)."""
    x, y = (disk(rng, n, size) * [0.72, 1.0]).T
    core = rng.uniform(-0.7, 0.1) * size
    ridges = rng.uniform(4.5, 7.5)
    pitch = size / ridges
    # Each point is drawn to its nearest ridge, an ellipse around the core.
    dx, dy = x, (y - core) * rng.uniform(0.6, 0.9)
    distance = np.hypot(dx, dy) + 1e-9
    on_ridge = (np.floor(distance / pitch) + 0.5) * pitch + rng.normal(0, 0.09 * pitch, n)
    scale = on_ridge / distance
    points = np.stack([dx * scale, core + (y - core) * scale], axis=1)
    worn = rng.random(n) < rng.uniform(0.75, 1.0)
    return turned(points[worn], heading)


def geometric_scratch(rng: np.random.Generator, diameter_mm: float) -> Points:
    """One to four thin, regular lines: straight or arcs of a large radius, often parallel."""
    radius = diameter_mm / 2
    lines = int(rng.choice([1, 2, 3, 4], p=[0.45, 0.27, 0.18, 0.1]))
    length = log_uniform(rng, 0.35, 1.7) * radius
    width = log_uniform(rng, 0.0004, 0.005) * radius
    line = _straight_or_arc(rng, length)
    parallel = rng.random() < 0.6
    step = rng.uniform(0.06, 0.25) * radius
    parts = []
    for i in range(lines):
        n = count(rng, 30 + 110 * length / radius, low=25, high=5000, spread=0.6)
        points = blurred(rng, along(rng, line, n, rng.uniform(0, 1)), width)
        if parallel:
            points = points + np.array([rng.normal(0, 0.03) * radius, (i - (lines - 1) / 2) * step])
        else:
            points = turned(points, rng.uniform(0, np.pi)) + somewhere(rng, 0.4 * radius)
        parts.append(_broken(rng, points, length))
    return turned(np.concatenate(parts), rng.uniform(0, 2 * np.pi)) + somewhere(rng, 0.5 * radius)


def _straight_or_arc(rng: np.random.Generator, length: float) -> Points:
    if rng.random() < 0.5:
        return segment((-length / 2, 0.0), (length / 2, 0.0))
    bend = rng.uniform(0.6, 3.0) * length
    half = length / bend / 2
    return arc(bend, np.pi / 2 - half, np.pi / 2 + half, (0.0, -bend))


def _broken(rng: np.random.Generator, points: Points, length: float) -> Points:
    """The line with a stretch left out, sometimes."""
    if rng.random() > 0.3:
        return points
    middle = points[rng.integers(len(points))]
    kept: Points = points[np.hypot(*(points - middle).T) > rng.uniform(0.03, 0.1) * length]
    return kept


def grid(rng: np.random.Generator, diameter_mm: float) -> Points:
    """A regular lattice at a pitch, as lines in both directions or as repeated points, over all or a part."""
    radius = diameter_mm / 2
    pitch = (
        rng.uniform(0.1, 0.26, 2) * radius
        if rng.random() < 0.5
        else np.full(2, rng.uniform(0.1, 0.26) * radius)
    )
    offset = rng.uniform(0, 1, 2) * pitch
    extent = 1.0 if rng.random() < 0.6 else rng.uniform(0.55, 0.9)
    points = disk(rng, count(rng, 2500, low=900), extent * radius)
    at = np.round((points - offset) / pitch)
    if rng.random() < 0.65:
        # Each defect goes to the nearest line of one direction; the other coordinate stays free.
        which = (rng.random(len(points)) < rng.uniform(0.35, 0.65)).astype(int)
        row = np.arange(len(points))
        points[row, which] = (at * pitch + offset)[row, which]
    else:
        points = at * pitch + offset
    points = blurred(rng, points, log_uniform(rng, 0.0015, 0.012) * radius)
    angle = rng.normal(0, 0.02) if rng.random() < 0.75 else rng.uniform(0, np.pi / 2)
    where = 0.0 if extent == 1.0 else somewhere(rng, (1 - extent) * radius)
    return turned(points, angle) + where


def zigzag(rng: np.random.Generator, diameter_mm: float) -> Points:
    """A line of three to eleven teeth with sharp turns."""
    radius = diameter_mm / 2
    corners = int(rng.integers(5, 13))
    length = rng.uniform(0.7, 1.75) * radius
    tooth = length / (corners - 1)
    amplitude = tooth * rng.uniform(0.55, 1.6) / 2
    x = np.linspace(-length / 2, length / 2, corners) + rng.normal(0, 0.07 * tooth, corners)
    y = amplitude * np.where(np.arange(corners) % 2, 1, -1) * rng.uniform(0.8, 1.2, corners)
    n = count(rng, 90 + 14 * corners, low=14 * corners, high=8000, spread=0.7)
    points = along(rng, np.stack([x, y], axis=1), n, rng.uniform(0, 1))
    points = blurred(rng, points, log_uniform(rng, 0.0008, 0.009) * radius)
    return turned(points, rng.uniform(0, 2 * np.pi)) + somewhere(rng, 0.4 * radius)
