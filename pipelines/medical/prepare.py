"""A case as the network wants it: canonical axes, the plan's spacing, normalised; and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pipelines.medical.config import Foreground, Normalisation, Plan
from pipelines.medical.data.record import Volume, VolumeError
from pipelines.medical.geometry import Turn, resample, resample_labels, resampled_shape

GRID_TOLERANCE_MM = 0.01


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
    raw = [
        torch.from_numpy(np.ascontiguousarray(turn.to_canonical(one.array), dtype=np.float32))
        for one in channels
    ]
    for one, image in zip(channels, raw, strict=True):
        if not torch.isfinite(image).all():
            raise VolumeError(f"{one.name} holds values that are no finite numbers")
    images = torch.stack(raw)
    canonical = tuple(images.shape[1:])
    spacing = spacing_of(turn.affine(first.affine))
    shape = resampled_shape(canonical, spacing, plan.spacing)
    images = resample(images, shape)
    active = active_voxels(images, plan.foreground)
    normalised = [normalise(image, how) for image, how in zip(images, plan.normalisation, strict=True)]
    return Prepared(torch.stack(normalised), active, turn, canonical)  # type: ignore[arg-type]


def prepare_labels(labels: Volume, like: Volume, plan: Plan) -> Tensor:
    """Class indices uint8 (X, Y, Z) on the prepared grid of `like`: 0 background, then the plan's labels.

    A value that the plan does not name is background. Raises VolumeError if the label map lies elsewhere.
    """
    check_same_grid([like, labels])
    turn = Turn.of(like.affine, like.shape)
    indices = np.zeros(labels.shape, np.uint8)
    for number, value in enumerate(plan.labels.values(), start=1):
        indices[labels.array == value] = number
    turned = turn.to_canonical(indices)
    shape = resampled_shape(turned.shape, spacing_of(turn.affine(like.affine)), plan.spacing)
    return torch.from_numpy(np.ascontiguousarray(resample_labels(turned, shape)))


def check_same_grid(volumes: Sequence[Volume]) -> None:
    """Raise VolumeError unless all volumes have the same shape and place."""
    first = volumes[0]
    for other in volumes[1:]:
        if other.shape != first.shape:
            raise VolumeError(
                f"{other.name} has {_sides(other.shape)} voxels and {first.name} {_sides(first.shape)}:"
                " they must lie on one grid"
            )
        corners = np.array([[0, 0, 0, 1], [*(side - 1 for side in first.shape), 1]], dtype=np.float64)
        apart = np.abs(corners @ (other.affine - first.affine).T).max()
        if apart > GRID_TOLERANCE_MM:
            raise VolumeError(
                f"{other.name} and {first.name} have the same shape but lie {apart:.3g} mm apart"
            )


def spacing_of(affine: NDArray[np.float64]) -> tuple[float, float, float]:
    """Size of a voxel along the axes of the array that the affine belongs to, in mm."""
    x, y, z = np.linalg.norm(affine[:3, :3], axis=0).tolist()
    return x, y, z


def normalise(image: Tensor, how: Normalisation) -> Tensor:
    """One channel (X, Y, Z), float32. `zscore` takes the voxels that are not 0, or all if there are none."""
    image = image.clamp(min=how.low, max=how.high) if (how.low, how.high) != (None, None) else image
    if how.scheme == "none":
        return image
    if how.scheme == "fixed":
        return (image - how.mean) / how.deviation
    seen = image[image != 0]
    seen = seen if len(seen) > 1 else image.flatten()
    deviation = float(seen.std()) if len(seen) > 1 else 0.0
    return (image - seen.mean()) / (deviation or 1.0)


def active_voxels(images: Tensor, rule: Foreground) -> Tensor | None:
    """Where to compute: bool (X, Y, Z), None for everywhere. images: (C, X, Y, Z) before normalisation."""
    if rule.rule == "all":
        return None
    seen = (images > rule.threshold) if rule.rule == "above" else (images != 0)
    active = seen.any(0)
    if rule.halo:
        size = 2 * rule.halo + 1
        active = functional.max_pool3d(active[None, None].float(), size, 1, rule.halo)[0, 0] > 0
    return active


def _sides(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
