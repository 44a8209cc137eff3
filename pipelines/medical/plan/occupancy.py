"""How much of volumes, training patches and tiles is active, from a coarse picture of each case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.medical.config import Sides, Triple
from pipelines.medical.geometry import resampled_shape
from pipelines.medical.segment.config import SegmentConfig
from pipelines.medical.segment.tiles import starts
from pipelines.medical.train.config import TrainConfig

CELLS: Final = 16  # of the picture, along an axis
PLACES: Final = 16  # voxels of each label that patches are drawn around
DRAWN: Final = 64  # patches of each case that are drawn anywhere
FOREGROUND_SHARE: float = TrainConfig.model_fields["foreground_share"].default
OVERLAP: float = SegmentConfig.model_fields["overlap"].default


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """What a rule for the foreground computes on in one case.

    share: of the grid. outside: the share of the labelled voxels that it leaves out.
    cells: float16 (x, y, z), at most CELLS a side: the share of each part of the grid.
    """

    share: float
    outside: float
    cells: NDArray[np.float16]


@dataclass(frozen=True, slots=True, eq=False)
class Pictured:
    """shape, spacing (mm): of a case's canonical grid. places: per label int32 (N, 3), some of its voxels."""

    shape: tuple[int, int, int]
    spacing: Triple
    region: Region
    places: Sequence[NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Occupancy:
    """volumes, patches: the mean share that is active. fullest: that of the fullest patch.

    tiles: how many voxels the tiles of a segmentation compute, for each voxel of the volumes.
    """

    volumes: float = 1.0
    patches: float = 1.0
    fullest: float = 1.0
    tiles: float = 1.0


def region_of(active: NDArray[np.bool_], marked: NDArray[np.bool_]) -> Region:
    """active, marked: (X, Y, Z), what a rule computes on and what is labelled."""
    count = int(marked.sum())
    outside = int((marked & ~active).sum()) / count if count else 0.0
    sums: NDArray[Any] = active.view(np.uint8)
    for axis, side in enumerate(active.shape):
        edges = _edges(side)
        sizes = np.diff(edges).reshape([-1 if axis == other else 1 for other in range(3)])
        sums = np.add.reduceat(sums, edges[:-1], axis, dtype=np.float32) / sizes.astype(np.float32)
    return Region(float(active.mean()), outside, sums.astype(np.float16))


def places_of(values: NDArray[np.uint16]) -> dict[int, tuple[int, NDArray[np.int32]]]:
    """For each label value of (X, Y, Z) but 0: how many voxels have it, and PLACES of them, (N, 3)."""
    flat = np.flatnonzero(values)
    kinds = values.ravel()[flat]
    order = np.argsort(kinds, kind="stable")
    found, first, counts = np.unique(kinds[order], return_index=True, return_counts=True)
    places = {}
    for value, begin, count in zip(found.tolist(), first.tolist(), counts.tolist(), strict=True):
        some = begin + np.linspace(0, count - 1, min(PLACES, count)).astype(np.int64)
        at = np.unravel_index(flat[order[some]], values.shape)
        places[value] = (count, np.stack(at, axis=1).astype(np.int32))
    return places


def occupancy(cases: Sequence[Pictured], spacing: Triple, patch: Sides) -> Occupancy:
    """The occupancy of the cases on grids of this spacing.

    Patches are those that `train.patches` draws, as often around each label and as often anywhere; the same
    for the same cases.
    """
    patches, fullest, active, computed, voxels = [], 0.0, 0.0, 0.0, 0.0
    for number, case in enumerate(cases):
        shape = resampled_shape(case.shape, case.spacing, spacing)
        anywhere, around = _patches(case, shape, patch, np.random.default_rng(number))
        labelled = FOREGROUND_SHARE if around else 0.0
        around_mean = float(np.mean([one.mean() for one in around])) if around else 0.0
        patches.append(labelled * around_mean + (1 - labelled) * float(anywhere.mean()))
        fullest = max([fullest, *(float(one.max()) for one in (anywhere, *around))])
        size = float(np.prod(shape))
        voxels, active = voxels + size, active + size * case.region.share
        computed += _tiles(case, shape, patch) * float(np.prod(patch))
    return Occupancy(active / voxels, float(np.mean(patches)), fullest, computed / voxels)


def _patches(
    case: Pictured, shape: Sequence[int], patch: Sides, rng: np.random.Generator
) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """The shares of patches drawn anywhere, and around the voxels of each label; see `Patches._centre`."""
    low = np.minimum(patch, shape) // 2
    centres = low + np.floor(rng.random((DRAWN, 3)) * np.maximum(1, np.array(shape) - 2 * low))
    grown = np.array(shape) / case.shape
    around = [np.floor((places + 0.5) * grown) for places in case.places]
    begin = np.concatenate([centres, *around]) - np.array(patch) // 2
    ends = np.cumsum([DRAWN, *map(len, around)])
    anywhere, *labelled = np.split(_shares(case, shape, begin, patch), ends[:-1])
    return anywhere, labelled


def _shares(
    case: Pictured, shape: Sequence[int], begin: NDArray[np.float64], patch: Sides
) -> NDArray[np.float64]:
    """The share of each box that is active; nothing beside the case is. begin: (N, 3), lowest corners."""
    x, y, z = (_covered(case, shape, axis, begin[:, axis], patch[axis]) for axis in range(3))
    found: NDArray[np.float64] = np.einsum("xyz,nx,ny,nz->n", case.region.cells, x, y, z, optimize=True)
    return found


def _tiles(case: Pictured, shape: Sequence[int], patch: Sides) -> int:
    """How many tiles of a segmentation hold something active."""
    x, y, z = (
        _covered(case, shape, axis, np.array(starts(shape[axis], patch[axis], OVERLAP)), patch[axis])
        for axis in range(3)
    )
    shares = np.einsum("xyz,ax,by,cz->abc", case.region.cells, x, y, z, optimize=True)
    return int((shares > 0).sum())


def _covered(
    case: Pictured, shape: Sequence[int], axis: int, begin: NDArray[Any], side: int
) -> NDArray[np.float64]:
    """The share of boxes' sides that lies in each cell along an axis, (N, cells).

    begin: (N,), in voxels of `shape`.
    """
    edges = _edges(case.shape[axis]) * (shape[axis] / case.shape[axis])
    low = np.maximum(begin[:, None], edges[:-1])
    high = np.minimum(begin[:, None] + side, edges[1:])
    found: NDArray[np.float64] = np.clip(high - low, 0, None) / side
    return found


def _edges(side: int) -> NDArray[np.int64]:
    """Where the cells along an axis begin, and where the last one ends."""
    return np.linspace(0, side, min(CELLS, side) + 1).astype(np.int64)
