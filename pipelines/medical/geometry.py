"""From a volume's own grid to the canonical one and back, without losing a voxel.

Canonical means: axes turned and flipped, never mixed, so that they run as nearly as they can to the patient's
right, front and head. An oblique volume stays oblique; its axes only get their nearest directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """Which axis of the stored array goes where, and which are flipped.

    orientation: float64 (3, 2) as nibabel has it: per stored axis its canonical axis and 1 or -1.
    shape: of the stored array.
    """

    orientation: NDArray[np.float64]
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, affine: NDArray[np.float64], shape: tuple[int, int, int]) -> Turn:
        """The turn that makes a volume canonical. affine: (4, 4) to RAS+ mm, of full rank."""
        return cls(io_orientation(affine), shape)

    def to_canonical(self, array: NDArray[Any]) -> NDArray[Any]:
        """(I, J, K) as stored to (X, Y, Z); a view."""
        turned: NDArray[Any] = apply_orientation(array, self.orientation)
        return turned

    def from_canonical(self, array: NDArray[Any]) -> NDArray[Any]:
        """(X, Y, Z) back to (I, J, K) as stored; a view."""
        axes = self.orientation[:, 0].astype(int)
        back = array.transpose(axes)
        flips = tuple(axis for axis in range(3) if self.orientation[axis, 1] < 0)
        return np.flip(back, flips)

    def affine(self, affine: NDArray[np.float64]) -> NDArray[np.float64]:
        """The canonical array's affine, from that of the stored one."""
        found: NDArray[np.float64] = affine @ inv_ornt_aff(self.orientation, self.shape)
        return found


def resampled_shape(
    shape: tuple[int, ...], spacing: tuple[float, ...], wanted: tuple[float, ...]
) -> tuple[int, ...]:
    """Voxels per axis that cover the same field of view at another spacing; at least one."""
    return tuple(
        max(1, round(side * now / then)) for side, now, then in zip(shape, spacing, wanted, strict=True)
    )


def resample(images: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Images (C, X, Y, Z) on a grid of another shape over the same field of view, by trilinear interpolation.

    Where an axis shrinks, the kernel widens with the step, so that what is small does not vanish between
    samples. PyTorch widens it for images only, so the last two axes go first, and then the first.
    """
    if tuple(images.shape[1:]) == tuple(shape):
        return images
    channels, first, *rest = images.shape
    planes = _interpolate(images.reshape(channels * first, 1, *rest), shape[1:])
    columns = planes.reshape(channels, 1, first, shape[1] * shape[2])
    return _interpolate(columns, (shape[0], shape[1] * shape[2])).reshape(channels, *shape)


def _interpolate(images: Tensor, size: tuple[int, ...]) -> Tensor:
    if size[-1] == 1 != size[0]:  # torch gets the other axis wrong then, so it goes last
        return _interpolate(images.mT, size[::-1]).mT
    return functional.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


def resample_labels(labels: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """A label map (X, Y, Z) on a grid of another shape: the label with the largest interpolated share.

    One label is interpolated at a time, so memory does not grow with their number.
    """
    if labels.shape == tuple(shape):
        return labels
    best = torch.zeros(tuple(shape))
    found = np.zeros(shape, labels.dtype)
    for value in np.unique(labels):
        share = resample(torch.from_numpy((labels == value).astype(np.float32))[None], shape)[0]
        wins = share > best
        found[wins.numpy()] = value
        best = torch.where(wins, share, best)
    return found
