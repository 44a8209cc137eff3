"""All labels of two label maps, each measured in the box that it fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from pipelines.medical.metrics.definitions import DEFAULT_TOLERANCES_MM, nsd_metric
from pipelines.medical.metrics.distances import surface_distances
from pipelines.medical.metrics.overlap import dice, iou, volume_error
from pipelines.medical.metrics.surface import steps_of, surface_of

Detection = Literal["found", "missing", "false", "absent"]
MAX_LABEL: Final = 65_535
Box = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Structure:
    """One label of one case. scores: by the metrics' names; None where the empty rules say not applicable."""

    value: int
    detection: Detection
    truth_ml: float
    predicted_ml: float
    scores: dict[str, float | None]


def measure(
    predicted: NDArray[Any],
    truth: NDArray[Any],
    spacing: Any,
    values: Sequence[int] | None = None,
    tolerances_mm: Sequence[float] = DEFAULT_TOLERANCES_MM,
) -> dict[int, Structure]:
    """Every label of two label maps on one grid, whole numbers (I, J, K) from 0 to MAX_LABEL.

    spacing: mm, see `steps_of`; oblique and sheared grids by their affine. values: the labels to measure;
    None for all that occur in either map. Memory beyond the maps is that of the largest structure.
    Raises ValueError if the shapes differ.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"label maps of {predicted.shape} and {truth.shape} lie on different grids")
    steps = steps_of(spacing)
    boxes = _boxes(predicted), _boxes(truth)
    wanted = sorted(boxes[0].keys() | boxes[1].keys()) if values is None else values
    return {
        value: _structure(
            value, predicted, truth, steps, [box[value] for box in boxes if value in box], tolerances_mm
        )
        for value in wanted
    }


def diagonal_mm(shape: Sequence[int], steps: NDArray[np.float64]) -> float:
    """The longest diagonal of a grid, from outer corner to outer corner: what a miss counts as a distance."""
    signs = np.array([(1, 1, 1), (1, 1, -1), (1, -1, 1), (1, -1, -1)])
    return float(np.linalg.norm((signs * np.asarray(shape)) @ steps.T, axis=1).max())


def occurring(labels: NDArray[Any]) -> set[int]:
    """The values in a label map but 0."""
    return set(_boxes(labels))


def _boxes(labels: NDArray[Any]) -> Mapping[int, Box]:
    """The box of each label that occurs, from one pass over the map."""
    return {value: box for value, box in enumerate(find_objects(labels), start=1) if box is not None}


def _structure(
    value: int,
    predicted: NDArray[Any],
    truth: NDArray[Any],
    steps: NDArray[np.float64],
    boxes: Sequence[Box],
    tolerances_mm: Sequence[float],
) -> Structure:
    box = _union(boxes)
    ours, theirs = predicted[box] == value, truth[box] == value
    both, in_ours, in_theirs = (int(np.count_nonzero(mask)) for mask in (ours & theirs, ours, theirs))
    if in_ours and in_theirs:
        detection: Detection = "found"
        between = surface_distances(surface_of(ours, steps), surface_of(theirs, steps))
        distances: Sequence[float | None] = (between.hausdorff(0.95), between.hausdorff(), between.average())
        near: Sequence[float | None] = [between.within(tolerance) for tolerance in tolerances_mm]
    elif in_ours or in_theirs:
        detection = "missing" if in_theirs else "false"
        distances, near = (diagonal_mm(truth.shape, steps),) * 3, (0.0,) * len(tolerances_mm)
    else:
        detection, distances, near = "absent", (None,) * 3, (None,) * len(tolerances_mm)
    error = volume_error(in_ours, in_theirs)
    scores = {
        "dice": dice(both, in_ours, in_theirs),
        "iou": iou(both, in_ours, in_theirs),
        **{nsd_metric(one).name: score for one, score in zip(tolerances_mm, near, strict=True)},
        **dict(zip(("hd95_mm", "hd_mm", "asd_mm"), distances, strict=True)),
        "volume_error": error,
        "absolute_volume_error": None if error is None else abs(error),
    }
    voxel_ml = abs(float(np.linalg.det(steps))) / 1000
    return Structure(value, detection, in_theirs * voxel_ml, in_ours * voxel_ml, scores)


def _union(boxes: Sequence[Box]) -> Box:
    """The box around some boxes; an empty one around none."""
    if not boxes:
        return (slice(0, 0),) * 3
    return tuple(
        slice(min(one.start for one in along), max(one.stop for one in along))
        for along in zip(*boxes, strict=True)
    )
