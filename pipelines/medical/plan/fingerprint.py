"""What the cases of a data set are like: one pass over all files, one case in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nibabel.orientations import aff2axcodes
from numpy.typing import NDArray

from pipelines.common.errors import UserError
from pipelines.medical.config import Triple
from pipelines.medical.data.dataset import Case, Dataset
from pipelines.medical.data.files import read_volume
from pipelines.medical.data.record import Volume, VolumeError
from pipelines.medical.geometry import Turn
from pipelines.medical.prepare import check_same_grid, spacing_of

SAMPLES = 10_000  # foreground intensities kept per case and channel
AIR_HU = -500.0  # between air and lung on one side, everything solid on the other
CT_BELOW = -300.0  # images whose numbers reach below this are taken for CT


@dataclass(frozen=True, slots=True, eq=False)
class CasePrint:
    """shape, spacing: of the canonical grid (x, y, z). orientation: of the stored axes, such as `LPS`.

    nonzero, solid: the share of voxels that differ from 0, or lie above AIR_HU, in any channel.
    outside_nonzero, outside_solid: the share of labelled voxels that do not.
    voxels: label value to how many voxels have it. voxel_ml: the size of one.
    samples: per channel float32 (N,), intensities of labelled voxels. lowest: of all channels.
    """

    name: str
    shape: tuple[int, int, int]
    spacing: Triple
    orientation: str
    nonzero: float
    solid: float
    outside_nonzero: float
    outside_solid: float
    voxels: dict[int, int]
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
            "nonzero_share": round(float(np.mean([case.nonzero for case in self.cases])), 4),
            "solid_share": round(float(np.mean([case.solid for case in self.cases])), 4),
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


def take_fingerprint(data: Dataset, progress: Callable[[str], None]) -> Fingerprint:
    """Read every labelled case once. A case that cannot be used is left out with its reason.

    Raises UserError if none can be.
    """
    cases, left_out = [], []
    for number, case in enumerate(data.cases):
        progress(f"reading case {number + 1} of {len(data.cases)}: {case.name}")
        try:
            cases.append(_one(case, np.random.default_rng(number)))
        except VolumeError as error:
            left_out.append((case.name, str(error)))
    if not cases:
        reason = f": {left_out[0][0]}: {left_out[0][1]}" if left_out else ""
        raise UserError(f"there is no labelled case to plan for{reason}")
    return Fingerprint(tuple(cases), tuple(left_out))


def _one(case: Case, rng: np.random.Generator) -> CasePrint:
    if case.labels is None:
        raise VolumeError("it has no label map")
    channels = [read_volume(path) for path in case.images]
    labels = read_volume(case.labels)
    check_same_grid([*channels, labels])
    first = channels[0]
    turn = Turn.of(first.affine, first.shape)
    values = _whole_numbers(labels)
    marked = values != 0
    nonzero = np.logical_or.reduce([one.array != 0 for one in channels])
    solid = np.logical_or.reduce([one.array > AIR_HU for one in channels])
    found, counts = np.unique(values[marked], return_counts=True)
    return CasePrint(
        name=case.name,
        shape=turn.to_canonical(first.array).shape,
        spacing=spacing_of(turn.affine(first.affine)),
        orientation="".join(aff2axcodes(first.affine)),
        nonzero=float(nonzero.mean()),
        solid=float(solid.mean()),
        outside_nonzero=_share(marked & ~nonzero, marked),
        outside_solid=_share(marked & ~solid, marked),
        voxels=dict(zip(found.tolist(), counts.tolist(), strict=True)),
        voxel_ml=first.voxel_ml,
        samples=tuple(_sample(one, marked, rng) for one in channels),
        lowest=min(float(one.array.min()) for one in channels),
    )


def _whole_numbers(labels: Volume) -> NDArray[np.int64]:
    values = np.asarray(labels.array)
    if values.dtype.kind == "f":
        rounded = np.rint(values)
        if not np.isfinite(values).all() or np.abs(values - rounded).max(initial=0.0) > 1e-3:
            raise VolumeError("its label map holds numbers that are not whole")
        values = rounded
    if values.size and (values.min() < 0 or values.max() > 65_535):
        raise VolumeError("its label map holds values outside 0 to 65,535")
    return values.astype(np.int64)


def _sample(volume: Volume, marked: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    values = volume.array[marked] if marked.any() else volume.array.ravel()
    if len(values) > SAMPLES:
        values = values[rng.integers(0, len(values), SAMPLES)]
    return values.astype(np.float32)


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float:
    count = int(whole.sum())
    return int(part.sum()) / count if count else 0.0


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
