"""Wafer maps as images of fixed size, the input of a dense network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.wafer.data.record import FAIL, NO_DIE

SIDE = 64
CHANNELS = 2
CHUNK_MAPS = 1024  # of one shape, binned at once: bounds the memory


def overlaps(cells: int, side: int = SIDE) -> NDArray[np.float32]:
    """The share (side, cells) of each of `side` bins that each of `cells` cells covers; rows sum to 1."""
    edges = np.arange(cells + 1) / cells
    bins = np.arange(side + 1) / side
    low = np.maximum(bins[:-1, None], edges[None, :-1])
    high = np.minimum(bins[1:, None], edges[None, 1:])
    shares: NDArray[np.float32] = (np.clip(high - low, 0, None) * side).astype(np.float32)
    return shares


def bin_dies(grids: Sequence[NDArray[np.uint8]], side: int = SIDE) -> NDArray[np.uint8]:
    """Die grids (rows, cols), of any shapes, as images uint8 (N, side, side, 2).

    Channels: the share of a bin's area that is failing dies, and that is dies at all; 255 is all of it.
    """
    images = np.zeros((len(grids), side, side, CHANNELS), dtype=np.uint8)
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for number, grid in enumerate(grids):
        by_shape.setdefault(grid.shape, []).append(number)
    for (rows, cols), all_numbers in by_shape.items():
        if not rows or not cols:
            continue
        vertical, horizontal = overlaps(rows, side), overlaps(cols, side).T
        for start in range(0, len(all_numbers), CHUNK_MAPS):
            numbers = all_numbers[start : start + CHUNK_MAPS]
            stack = np.stack([grids[number] for number in numbers])
            for channel, mask in enumerate((stack == FAIL, stack != NO_DIE)):
                shares = vertical @ mask.astype(np.float32) @ horizontal
                images[numbers, :, :, channel] = np.rint(np.clip(shares, 0, 1) * 255)
    return images


def bin_defects(
    defects: Sequence[NDArray[np.float64]], diameters_mm: Sequence[float], side: int = SIDE
) -> NDArray[np.uint8]:
    """Defects (N, 2) in mm of each map as images uint8 (B, side, side, 2), row 0 at the top of the wafer.

    Channels: 1 - exp(-defects in the bin), which grows with the count and never overflows, and the wafer's
    disc; 255 is one.
    """
    images = np.zeros((len(defects), side, side, CHANNELS), dtype=np.uint8)
    centres = (2 * np.arange(side) + 1) / side - 1
    images[..., 1] = (np.hypot(centres[:, None], centres[None, :]) <= 1) * np.uint8(255)
    for number, (points, diameter) in enumerate(zip(defects, diameters_mm, strict=True)):
        place = np.clip(((points / diameter + 0.5) * side).astype(np.int64), 0, side - 1)
        flat = (side - 1 - place[:, 1]) * side + place[:, 0]
        counts = np.bincount(flat, minlength=side * side).reshape(side, side)
        images[number, :, :, 0] = np.rint(-np.expm1(-counts) * 255)
    return images
