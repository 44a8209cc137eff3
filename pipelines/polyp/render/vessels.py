"""Vessels under the mucosa: trees that branch and thin, drawn on a map of the wall."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.polyp.render.noise import Field, band, step

STRIDE = 0.45  # mm that a twig grows before it may turn
THINNEST = 0.07  # mm
WIDEST_PX = 6


def trees(rng: np.random.Generator, shape: tuple[int, int], scale: float, count: int) -> Field:
    """How much vessel (rows, columns) there is at each place, 0 to 1, closed round the columns.

    scale: px per mm. `count` trees start anywhere with 0.3 to 0.7 mm, or less, and fork until they are too
    thin.
    """
    place = rng.uniform(0, 1, (count, 2)) * (shape[1], shape[0]) / scale
    heading = rng.uniform(0, 2 * np.pi, count)
    width = rng.uniform(0.2, 0.6, count)
    bend = rng.normal(0, 0.05, count)
    canvas = np.zeros(shape, np.uint8)
    for _ in range(110):
        heading = heading + bend + rng.normal(0, 0.16, len(heading))
        ahead = place + STRIDE * np.stack([np.cos(heading), np.sin(heading)], axis=1)
        _draw(canvas, place, ahead, width, scale)
        place, width = ahead, width * rng.uniform(0.965, 1.0, len(width))
        bend = 0.9 * bend + rng.normal(0, 0.02, len(bend))
        forks = rng.random(len(width)) < 0.075
        side = rng.choice([-1.0, 1.0], len(width)) * rng.uniform(0.4, 1.0, len(width))
        thin = width * rng.uniform(0.5, 0.85, len(width))
        place = np.concatenate([place, place[forks]])
        heading = np.concatenate([heading - 0.3 * side * forks, (heading + side)[forks]])
        bend = np.concatenate([bend, -bend[forks]])
        width = np.concatenate([np.where(forks, 0.92 * width, width), thin[forks]])
        alive = width > THINNEST
        place, heading, bend, width = place[alive], heading[alive], bend[alive], width[alive]
        if not len(width):
            break
    return canvas.astype(np.float32) / np.float32(255)


def _draw(
    canvas: NDArray[np.uint8],
    start: NDArray[np.float64],
    stop: NDArray[np.float64],
    width: NDArray[np.float64],
    scale: float,
) -> None:
    """Add pieces (N, 2) in mm to a canvas whose columns close; thin ones are fainter, not thinner than a
    pixel."""
    wide = np.clip(np.rint(width * scale), 1, WIDEST_PX).astype(int)
    strength = np.clip(width * scale, 0.35, 1.0) * np.clip(0.45 + width, 0, 1)
    shade = np.rint(4 * strength).astype(int)
    around = canvas.shape[1] / scale
    turns = np.floor(start[:, 0] / around) * around
    start, stop = start - [1, 0] * turns[:, None], stop - [1, 0] * turns[:, None]
    for thickness in np.unique(wide):
        for level in np.unique(shade):
            mine = (wide == thickness) & (shade == level)
            if not mine.any():
                continue
            for shift in (0.0, -around):
                lines = np.stack([start[mine], stop[mine]], axis=1) + np.array([shift, 0])
                layer = np.rint(lines * scale * 16).astype(np.int32)
                # Lines of one look are drawn together; the brighter wins where they cross, as shades are few.
                cv2.polylines(
                    canvas, list(layer), False, float(level * 63), int(thickness), cv2.LINE_AA, shift=4
                )


def mesh(rng: np.random.Generator, shape: tuple[int, int], scale: float, wide: float) -> Field:
    """A net of fine vessels (rows, columns), 0 to 1: where a noise of about `wide` mm changes its sign."""
    warp = band(rng, shape, 1 / scale, wide, 3 * wide, 0.6)
    strength = step(-0.6, 0.8, band(rng, shape, 1 / scale, 8, 40, 0.5))
    thickness = 0.09 + 0.05 * band(rng, shape, 1 / scale, 4, 12, 0.5)
    lines = step(1.0, 0.0, np.abs(warp) / np.clip(thickness, 0.04, 0.3))
    return (lines * (0.3 + 0.7 * strength)).astype(np.float32)
