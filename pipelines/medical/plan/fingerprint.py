"""What the cases of a data set are like: one pass over all files, one case in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from nibabel.orientations import aff2axcodes
from numpy.typing import NDArray

from pipelines.common.errors import UserError
from pipelines.medical.config import Foreground, Triple
from pipelines.medical.data.dataset import Case, Dataset
from pipelines.medical.data.files import read_volume
from pipelines.medical.data.limits import MAX_VOXELS
from pipelines.medical.data.record import VolumeError
from pipelines.medical.geometry import Turn
from pipelines.medical.plan.occupancy import Region, places_of, region_of
from pipelines.medical.prepare import (
    active_voxels,
    check_same_grid,
    corner_number,
    label_values,
    spacing_of,
)

SAMPLES = 10_000  # foreground intensities kept per case and channel
AIR_HU = -500.0  # between air and lung on one side, everything solid on the other
CT_BELOW = -300.0  # images whose numbers reach below this are taken for CT
NONZERO, SOLID, LIFTED = "nonzero", f"above {AIR_HU:g}", "unlike the corners"


@dataclass(frozen=True, slots=True, eq=False)
class CasePrint:
    """shape, spacing: of the canonical grid (x, y, z). orientation: of the stored axes, such as `LPS`.

    regions: what there is to compute on, in any channel: NONZERO, voxels that differ from 0; SOLID, those
        above AIR_HU; LIFTED, not of CT, those that differ from the number in the channel's corners.
    corners: that number, per channel.
    voxels: label value to how many voxels have it. voxel_ml: the size of one.
    places: label value to int32 (N, 3), some of its voxels on the canonical grid.
    samples: per channel float32 (N,), intensities of labelled voxels. lowest: of all channels.
    """

    name: str
    shape: tuple[int, int, int]
    spacing: Triple
    orientation: str
    regions: dict[str, Region]
    corners: tuple[float, ...]
    voxels: dict[int, int]
    places: dict[int, NDArray[np.int32]]
    voxel_ml: float
    samples: tuple[NDArray[np.float32], ...]
    lowest: float


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """cases: those that could be read; left_out: name and reason of the others."""

    cases: tuple[CasePrint, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def values(self) -> list[int]:
        """All label values but 0."""
        return sorted({value for case in self.cases for value in case.voxels})

    @property
    def regions(self) -> list[str]:
        """Those that all cases have."""
        return [name for name in self.cases[0].regions if all(name in case.regions for case in self.cases)]

    def share(self, region: str) -> float:
        """The mean share of the grid that a region holds."""
        return float(np.mean([case.regions[region].share for case in self.cases]))

    def summary(self) -> dict[str, Any]:
        """The fingerprint as JSON holds it."""
        shapes = np.array([case.shape for case in self.cases])
        spacings = np.array([case.spacing for case in self.cases])
        orientations = sorted({case.orientation for case in self.cases})
        return {
            "cases": len(self.cases),
            "left_out": [{"case": name, "reason": reason} for name, reason in self.left_out],
            "shape": {what: _of(shapes, what) for what in ("min", "median", "max")},
            "spacing_mm": {what: _of(spacings, what) for what in ("min", "median", "max")},
            "orientations": {
                name: sum(case.orientation == name for case in self.cases) for name in orientations
            },
            "active_share": {name: round(self.share(name), 4) for name in self.regions},
            "corners": [
                {"min": round(min(numbers), 4), "max": round(max(numbers), 4)}
                for numbers in zip(*(case.corners for case in self.cases), strict=True)
            ],
            "intensity": [_spread(samples) for samples in self.pooled()],
            "labels": {str(value): self._label(value) for value in self.values},
        }

    def pooled(self) -> list[NDArray[np.float32]]:
        """Per channel the sampled intensities of labelled voxels of all cases."""
        return [np.concatenate(parts) for parts in zip(*(case.samples for case in self.cases), strict=True)]

    def _label(self, value: int) -> dict[str, float]:
        having = [case for case in self.cases if value in case.voxels]
        sizes = [case.voxels[value] * case.voxel_ml for case in having]
        return {
            "cases": len(having),
            "median_ml": round(float(np.median(sizes)), 4),
            "min_ml": round(min(sizes), 4),
            "max_ml": round(max(sizes), 4),
        }


def take_fingerprint(
    data: Dataset, progress: Callable[[str], None], *, max_voxels: int = MAX_VOXELS
) -> Fingerprint:
    """Read every labelled case once. A case that cannot be used is left out with its reason.

    max_voxels: of a volume that is read. Raises UserError if no case can be used.
    """
    cases, left_out = [], []
    for number, case in enumerate(data.cases):
        progress(f"reading case {number + 1} of {len(data.cases)}: {case.name}")
        try:
            cases.append(_one(case, np.random.default_rng(number), max_voxels))
        except VolumeError as error:
            left_out.append((case.name, str(error)))
    if not cases:
        reason = f": {left_out[0][0]}: {left_out[0][1]}" if left_out else ""
        raise UserError(f"there is no labelled case to plan for{reason}")
    return Fingerprint(tuple(cases), tuple(left_out))


def _one(case: Case, rng: np.random.Generator, max_voxels: int) -> CasePrint:
    if case.labels is None:
        raise VolumeError("it has no label map")
    channels = [read_volume(path, max_voxels=max_voxels) for path in case.images]
    labels = read_volume(case.labels, max_voxels=max_voxels)
    check_same_grid([*channels, labels])
    first = channels[0]
    turn = Turn.of(first.affine, first.shape)
    values = np.ascontiguousarray(turn.to_canonical(label_values(labels)))
    images = np.stack([turn.to_canonical(one.array) for one in channels], dtype=np.float32, casting="unsafe")
    for one, image in zip(channels, images, strict=True):
        if not np.isfinite(image).all():
            raise VolumeError(f"{one.name} holds values that are no finite numbers")
    found = places_of(values)
    marked = values != 0
    corners = tuple(float(corner_number(image)) for image in images)
    return CasePrint(
        name=case.name,
        shape=values.shape,
        spacing=spacing_of(turn.affine(first.affine)),
        orientation="".join(aff2axcodes(first.affine)),
        samples=tuple(_sample(image, marked, rng) for image in images),
        lowest=float(images.min()),
        regions=_regions(images, corners, marked),  # last, as it changes the images
        corners=corners,
        voxels={value: count for value, (count, _) in found.items()},
        places={value: places for value, (_, places) in found.items()},
        voxel_ml=first.voxel_ml,
    )


def _regions(
    images: NDArray[np.float32], corners: Sequence[float], marked: NDArray[np.bool_]
) -> dict[str, Region]:
    """See `CasePrint`. images: (C, X, Y, Z); the corners are taken off them."""

    nonzero, solid = Foreground(rule="nonzero"), Foreground(rule="above", threshold=AIR_HU)

    def of(rule: Foreground) -> Region:
        active = active_voxels(torch.from_numpy(images), rule)
        assert active is not None
        return region_of(active.numpy(), marked)

    found = {NONZERO: of(nonzero), SOLID: of(solid)}
    if images.min() >= CT_BELOW:
        found[LIFTED] = found[NONZERO]
        if any(corners):
            images -= np.array(corners, np.float32)[:, None, None, None]
            found[LIFTED] = of(nonzero)
    return found


def _sample(
    image: NDArray[np.float32], marked: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float32]:
    values = image[marked] if marked.any() else image.ravel()
    if len(values) > SAMPLES:
        values = values[rng.integers(0, len(values), SAMPLES)]
    return values


def _of(rows: NDArray[Any], what: str) -> list[float]:
    return [round(float(number), 4) for number in getattr(np, what)(rows, axis=0)]


def _spread(samples: Sequence[float] | NDArray[np.float32]) -> dict[str, float]:
    values = np.asarray(samples, dtype=np.float64)
    low, middle, high = np.percentile(values, [0.5, 50, 99.5])
    return {
        "percentile_0_5": round(float(low), 4),
        "median": round(float(middle), 4),
        "percentile_99_5": round(float(high), 4),
        "mean": round(float(values.mean()), 4),
        "deviation": round(float(values.std()), 4),
    }
