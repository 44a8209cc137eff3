"""What needs no network: the training's median, a regression on the apparent size, a map of depths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.polyp.geometry import measured_size
from pipelines.polyp.model.views import numbers_of
from pipelines.polyp.train.store import StoredFrame, StoredPolyp

Floats = NDArray[np.float64]
RIDGE = 1e-3


def median_sizes(training: Sequence[StoredPolyp], polyps: Sequence[StoredPolyp]) -> list[float]:
    """The median size in mm of the training for every polyp."""
    return [float(np.median([one.mm for one in training]))] * len(polyps)


def apparent_sizes(training: Sequence[StoredPolyp], polyps: Sequence[StoredPolyp]) -> list[float]:
    """The size in mm by a regression of its logarithm on what a box and a calibrated camera tell of a frame.

    Linear and squared terms of `views.numbers_of`, least squares with a slight ridge, over all usable frames
    of the training; of a polyp's frames the median counts.
    """
    rows = [features(frame) for polyp in training for frame in polyp.usable]
    wanted = np.log([polyp.mm for polyp in training for _ in polyp.usable])
    table = np.stack(rows)
    mean, deviation = table.mean(0), table.std(0) + 1e-6
    weights = _fitted(_terms((table - mean) / deviation), wanted)
    found = []
    for polyp in polyps:
        own = np.stack([features(frame) for frame in polyp.usable])
        found.append(float(np.exp(np.median(_terms((own - mean) / deviation) @ weights))))
    return found


def measured_sizes(polyps: Sequence[StoredPolyp], *, estimated: bool = False) -> list[float | None]:
    """The size in mm that depths, true or estimated ones, mask and camera give, without any learning.

    The median over a polyp's usable frames; None for a polyp without any that can be measured.
    """
    found: list[float | None] = []
    for polyp in polyps:
        depths = [frame.estimated if estimated else frame.depth for frame in polyp.usable]
        sizes = [
            measured_size(depth, frame.camera, frame.box, frame.mask)
            for frame, depth in zip(polyp.usable, depths, strict=True)
            if depth is not None and frame.camera is not None
        ]
        known = [one for one in sizes if one is not None]
        found.append(float(np.median(known)) if known else None)
    return found


def features(frame: StoredFrame) -> Floats:
    """What is known of a frame without its pixels: float64 (NUMBERS,)."""
    height, width = frame.pixels.shape[:2]
    return numbers_of(frame.box, width, height, frame.camera).astype(np.float64)


def _terms(table: Floats) -> Floats:
    return np.concatenate([np.ones((len(table), 1)), table, table**2], 1)


def _fitted(terms: Floats, wanted: Floats) -> Floats:
    square = terms.T @ terms + RIDGE * len(terms) * np.eye(terms.shape[1])
    return np.asarray(np.linalg.solve(square, terms.T @ wanted))
