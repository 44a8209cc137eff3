"""Synthetic full-resolution wafer defect maps: the classes of Frittoli et al., Pattern Recognition, 2022.

Each pattern is a function of a random generator and the wafer's diameter in mm; it returns its defects,
float64 (N, 2), in mm from the wafer's centre, x right and y up, notch down. `make_map` puts a pattern on a
wafer with its background and cuts it at the edge.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipelines.wafer.generate.background import background, distractor
from pipelines.wafer.generate.lines import basketball, fingerprints, geometric_scratch, grid, zigzag
from pipelines.wafer.generate.novel import NOVEL_PATTERNS
from pipelines.wafer.generate.regions import (
    cluster_big,
    cluster_small,
    donut,
    half_moon,
    incomplete,
    pie_slice,
    ring,
)
from pipelines.wafer.generate.shapes import Points, log_uniform

__all__ = ["NOVEL_PATTERNS", "PATTERNS", "make_map"]

Pattern = Callable[[np.random.Generator, float], Points]


def normal(rng: np.random.Generator, diameter_mm: float) -> Points:
    """No pattern at all: the background alone."""
    return np.empty((0, 2))


PATTERNS: dict[str, Pattern] = {
    "basketball": basketball,
    "cluster_big": cluster_big,
    "cluster_small": cluster_small,
    "donut": donut,
    "fingerprints": fingerprints,
    "geometric_scratch": geometric_scratch,
    "grid": grid,
    "half_moon": half_moon,
    "incomplete": incomplete,
    "normal": normal,
    "ring": ring,
    "slice": pie_slice,
    "zigzag": zigzag,
}

FEWEST_BACKGROUND, MOST_BACKGROUND = 1, 2000

# Background defects for each defect of the pattern, at most: one that drowns has no name to a person.
BACKGROUND_PER_DEFECT = {
    "basketball": 1.5,
    "cluster_big": 4.0,
    "cluster_small": 15.0,
    "donut": 1.0,
    "fingerprints": 1.5,
    "geometric_scratch": 5.0,
    "grid": 0.7,
    "half_moon": 1.0,
    "incomplete": 0.06,
    "ring": 2.0,
    "slice": 2.0,
    "zigzag": 3.0,
}
NOVEL_BACKGROUND_PER_DEFECT = 0.8


def make_map(rng: np.random.Generator, pattern: str, diameter_mm: float = 300.0) -> Points:
    """The defects of one wafer, float64 (N, 2) in mm from its centre, notch down, in random order.

    pattern: a name in PATTERNS or NOVEL_PATTERNS.
    Raises ValueError for another name.
    """
    draw = PATTERNS.get(pattern) or NOVEL_PATTERNS.get(pattern)
    if draw is None:
        known = ", ".join([*PATTERNS, *NOVEL_PATTERNS])
        raise ValueError(f"there is no pattern {pattern!r}; the patterns are {known}")
    radius = diameter_mm / 2
    shown = draw(rng, diameter_mm)
    most = MOST_BACKGROUND
    if pattern != "normal":
        share = BACKGROUND_PER_DEFECT.get(pattern, NOVEL_BACKGROUND_PER_DEFECT)
        most = min(most, max(int(share * len(shown)), 25))
    parts = [shown, background(rng, int(log_uniform(rng, FEWEST_BACKGROUND, most)), radius)]
    if rng.random() < 0.2:
        parts.append(distractor(rng, radius))
    defects = np.concatenate(parts)
    # Tools exclude the last millimetres: there is no resist, and the bevel scatters light.
    usable = radius - rng.uniform(1.0, 3.0)
    defects = defects[np.hypot(defects[:, 0], defects[:, 1]) < usable]
    return rng.permutation(defects)
