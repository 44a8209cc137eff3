"""Masks whose surfaces are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ball(
    radius_mm: float, shape: tuple[int, ...], spacing: tuple[float, ...] = (1.0, 1.0, 1.0)
) -> NDArray[np.bool_]:
    """The voxels whose centres are within a radius of the middle of the grid."""
    axes = [(np.arange(side) - (side - 1) / 2) * step for side, step in zip(shape, spacing, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    found: NDArray[np.bool_] = x**2 + y**2 + z**2 <= radius_mm**2
    return found


def box(shape: tuple[int, ...], start: tuple[int, ...], sides: tuple[int, ...]) -> NDArray[np.bool_]:
    """A filled cuboid."""
    mask = np.zeros(shape, np.bool_)
    mask[tuple(slice(a, a + b) for a, b in zip(start, sides, strict=True))] = True
    return mask


def blob(seed: int, shape: tuple[int, ...] = (12, 14, 10), share: float = 0.3) -> NDArray[np.bool_]:
    """A rough mask that is not empty."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.2)
    found: NDArray[np.bool_] = field >= np.quantile(field, 1 - share)
    return found
