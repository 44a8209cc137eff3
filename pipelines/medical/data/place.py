"""Affines: what is usable, and how far two of them are apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .record import VolumeError

LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
MIN_SPACING_MM: Final = 1e-6
MAX_SPACING_MM: Final = 1e6
MAX_MM: Final = 1e9  # of anything in an affine
MIN_SINE: Final = 1e-3  # of the solid angle between the axes: less, and they lie in one plane


def usable(affine: NDArray[Any]) -> bool:
    """Whether a (4, 4) affine places voxels in space: finite, of sane size, axes not in one plane."""
    if not np.isfinite(affine).all():
        return False
    if np.abs(affine).max() > MAX_MM:
        return False
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if spacing.min() < MIN_SPACING_MM or spacing.max() > MAX_SPACING_MM:
        return False
    with np.errstate(all="ignore"):  # of a matrix without an inverse
        return bool(abs(np.linalg.det(affine[:3, :3] / spacing)) > MIN_SINE)


def check_affine(affine: NDArray[Any]) -> NDArray[np.float64]:
    """The affine as float64, or VolumeError if it does not place voxels in space."""
    if not usable(affine):
        raise VolumeError(
            "its header does not place the voxels in space (an axis without length or direction, or values"
            " that are no numbers): store it again with valid spacing and orientation"
        )
    return affine.astype(np.float64)


def from_axes(axes: NDArray[Any], origin: NDArray[Any]) -> NDArray[np.float64]:
    """An affine from (3, 3) steps in mm, one column per voxel axis, and the place (3,) of voxel 0, 0, 0."""
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = origin
    # NaN, as products with what is infinite or nearly so are no numbers either, and warn of it besides.
    affine[~(np.abs(affine) <= MAX_MM)] = np.nan
    return affine


def apart_mm(one: NDArray[Any], other: NDArray[Any], shape: Sequence[int]) -> float:
    """The largest distance in mm between where two affines put a corner of the volume."""
    corners = np.array([[*corner, 1] for corner in itertools.product(*((0, side - 1) for side in shape))])
    return float(np.linalg.norm(corners @ (one - other).T, axis=1).max())
