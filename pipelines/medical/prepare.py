"""A case as the network wants it: canonical axes, the plan's spacing, normalised; and the way back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d
from torch import Tensor

from pipelines.medical.config import Foreground, Normalisation, Plan
from pipelines.medical.data.place import apart_mm
from pipelines.medical.data.record import Volume, VolumeError
from pipelines.medical.geometry import Turn, resample, resample_labels, resampled_shape
from pipelines.medical.metrics.structures import MAX_LABEL

GRID_TOLERANCE_MM = 0.01
NOT_WHOLE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """images: float32 (C, X, Y, Z). active: bool (X, Y, Z), None where the plan computes everywhere.

    turn: from the stored grid to the canonical one. canonical_shape: before resampling.
    """

    images: Tensor
    active: Tensor | None
    turn: Turn
    canonical_shape: tuple[int, int, int]

    def from_canonical(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array of `canonical_shape` on the volume's own grid."""
        return self.turn.from_canonical(array)


def prepare(channels: Sequence[Volume], plan: Plan) -> Prepared:
    """Turn, resample and normalise a case. Raises VolumeError if its channels do not share a grid."""
    if len(channels) != len(plan.channels):
        raise VolumeError(
            f"the model needs {len(plan.channels)} images per case ({', '.join(plan.channels)}),"
            f" here are {len(channels)}"
        )
    check_same_grid(channels)
    first = channels[0]
    turn = Turn.of(first.affine, first.shape)
    x, y, z = turn.to_canonical(first.array).shape
    shape = resampled_shape((x, y, z), spacing_of(turn.affine(first.affine)), plan.spacing)
    images = torch.empty(len(channels), *shape)
    for one, image, how in zip(channels, images, plan.normalisation, strict=True):
        _fill(image, one, turn, lift=how.scheme == "lifted")  # one at a time: a copy is as large as it
    active = active_voxels(images, plan.foreground)
    for image, how in zip(images, plan.normalisation, strict=True):
        normalise_(image, how)
    return Prepared(images, active, turn, (x, y, z))


def prepare_labels(labels: Volume, like: Volume, plan: Plan) -> Tensor:
    """Class indices uint8 (X, Y, Z) on the prepared grid of `like`: 0 background, then the plan's labels.

    A value that the plan does not name is background. Raises VolumeError if the label map lies elsewhere, or
    is none.
    """
    check_same_grid([like, labels])
    turn = Turn.of(like.affine, like.shape)
    values = label_values(labels)
    indices = np.zeros(labels.shape, np.uint8)
    for number, value in enumerate(plan.labels.values(), start=1):
        indices[values == value] = number
    turned = turn.to_canonical(indices)
    shape = resampled_shape(turned.shape, spacing_of(turn.affine(like.affine)), plan.spacing)
    return torch.from_numpy(np.ascontiguousarray(resample_labels(turned, shape)))


def label_values(labels: Volume) -> NDArray[np.uint16]:
    """The values of a label map as whole numbers, (I, J, K). Raises VolumeError if they are no labels.

    Scaled files hold numbers a hair beside whole ones: these are rounded.
    """
    values = np.asarray(labels.array)
    if values.dtype.kind == "f":
        rounded = np.rint(values)
        if not np.isfinite(values).all() or np.abs(values - rounded).max(initial=0.0) > NOT_WHOLE:
            raise VolumeError("its label map holds numbers that are not whole")
        values = rounded
    if values.size and (values.min() < 0 or values.max() > MAX_LABEL):
        raise VolumeError(f"its label map holds values outside 0 to {MAX_LABEL:,}")
    return values.astype(np.uint16, copy=False)


def check_same_grid(volumes: Sequence[Volume]) -> None:
    """Raise VolumeError unless all volumes have the same shape and place."""
    first = volumes[0]
    for other in volumes[1:]:
        if other.shape != first.shape:
            raise VolumeError(
                f"{other.name} has {_sides(other.shape)} voxels and {first.name} {_sides(first.shape)}:"
                " they must lie on one grid"
            )
        apart = apart_mm(first.affine, other.affine, first.shape)
        if apart > GRID_TOLERANCE_MM:
            raise VolumeError(
                f"{other.name} and {first.name} have the same shape but lie {apart:.3g} mm apart"
            )


def spacing_of(affine: NDArray[np.float64]) -> tuple[float, float, float]:
    """Size of a voxel along the axes of the array that the affine belongs to, in mm."""
    x, y, z = np.linalg.norm(affine[:3, :3], axis=0).tolist()
    return x, y, z


def normalise(image: Tensor, how: Normalisation) -> Tensor:
    """One channel (X, Y, Z), float32, which `prepare` has lifted if that is asked for.

    Without numbers of its own, `how` takes those of the voxels that are not 0, or of all if there are none.
    """
    return normalise_(image.clone(), how)


def normalise_(image: Tensor, how: Normalisation) -> Tensor:
    """`normalise` in place."""
    if (how.low, how.high) != (None, None):
        image.clamp_(min=how.low, max=how.high)
    if how.scheme == "none":
        return image
    mean, deviation = (how.mean, how.deviation) if how.scheme == "fixed" else _statistics(image)
    return image.sub_(mean).div_(deviation)


def active_voxels(images: Tensor, rule: Foreground) -> Tensor | None:
    """Where to compute: bool (X, Y, Z), None for everywhere. images: (C, X, Y, Z) before normalisation."""
    if rule.rule == "all":
        return None
    active = torch.zeros(images.shape[1:], dtype=torch.bool)
    for image in images:
        active |= (image > rule.threshold) if rule.rule == "above" else (image != 0)
    if rule.halo:
        bytes_of = active.numpy().view(np.uint8)  # in place, where a max pool would take floats
        for axis in range(3):
            maximum_filter1d(bytes_of, 2 * rule.halo + 1, axis, bytes_of, mode="constant")
    return active


def corner_number(image: NDArray[Any]) -> Any:
    """The number that most of the corners of an image (X, Y, Z) hold."""
    ends = np.ix_(*((0, side - 1) for side in image.shape))
    values, counts = np.unique(image[ends], return_counts=True)
    return values[counts.argmax()]


def _fill(image: Tensor, volume: Volume, turn: Turn, *, lift: bool) -> None:
    """Write the volume into `image`, canonical and resampled. Raises VolumeError if it is not finite.

    lift: take the corners' number off, before resampling, so that a constant background is 0 exactly.
    """
    turned = turn.to_canonical(volume.array)
    if turned.shape == tuple(image.shape):  # without a copy between
        np.copyto(image.numpy(), turned, casting="unsafe")
        if lift:
            image.sub_(float(corner_number(image.numpy())))
    else:
        own = torch.from_numpy(np.ascontiguousarray(turned, dtype=np.float32))
        if lift:
            own = own - float(corner_number(own.numpy()))
        image.copy_(resample(own[None], tuple(image.shape))[0])
    if not all(map(math.isfinite, image.aminmax())):  # both are NaN if one value is
        raise VolumeError(f"{volume.name} holds values that are no finite numbers")


def _statistics(image: Tensor) -> tuple[float, float]:
    """Mean and deviation of the voxels that are not 0, or of all; plane by plane, in double precision."""
    count, total = 0, 0.0
    for plane in image:
        count += int(plane.count_nonzero())
        total += float(plane.sum(dtype=torch.float64))
    only_some = count > 1
    count = count if only_some else image.numel()
    mean = total / count
    squares = 0.0
    for plane in image:
        apart = plane.double() - mean
        squares += float((apart[plane != 0] if only_some else apart).square().sum())
    return mean, math.sqrt(squares / max(1, count - 1)) or 1.0


def _sides(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
