"""The sites that the engines are measured on: drawn with fixed seeds, or taken from real data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.common.errors import UserError
from pipelines.wafer.data import WaferMap, read_labelled
from pipelines.wafer.model.kinds import Dies

WAFER_FILE = Path("wafer") / "wm811k" / "val.npz"
WAFER_MAPS = 64
BRAIN_FILE = Path("medical") / "brats2013" / "brats_2013_pat0001_1" / "Flair_subtrMeanDivStd.nii.gz"
BRAIN_OCCUPANCY = 0.15

Sites = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Workload:
    """dimension: of space. make: the sites, int (N, 1 + dimension), from the data's folder and `quick`.

    scanned: whether the sites come from a grid that was read place by place, or in no particular order.
    """

    dimension: int
    make: Callable[[Path, bool], Sites]
    scanned: bool = False

    def coordinates(self, data: Path, *, quick: bool) -> Tensor:
        """int32 (N, 1 + dimension), batch index first, all rows different.

        Raises UserError if the data are needed and are not there.
        """
        sites = np.unique(self.make(data, quick), axis=0)
        if not self.scanned:
            sites = sites[np.random.default_rng(0).permutation(len(sites))]
        return torch.from_numpy(sites.astype(np.int32))


def drawn(side: int, dimension: int, sites: int) -> Sites:
    """So many different sites of a square or cubic grid, each as likely as another."""
    cells = side**dimension
    if sites > cells:
        raise ValueError(f"{sites} sites are too many to draw from {cells} cells")
    rng = np.random.default_rng(0)
    if 2 * sites > cells:
        flat = rng.permutation(cells)[:sites]
    else:
        # What is drawn twice is drawn again: a permutation of all cells would not fit for a large grid.
        flat = np.zeros(0, dtype=np.int64)
        while len(flat) < sites:
            flat = np.unique(np.concatenate([flat, rng.integers(cells, size=sites - len(flat))]))
    return _batched(np.stack(np.unravel_index(flat, (side,) * dimension), axis=1))


def surface(scale: int) -> Sites:
    """The voxels hit by noisy points on hilly ground, `scale` voxels a side, and on four spheres above it."""
    rng = np.random.default_rng(0)
    ground = rng.uniform(0, scale, (12 * scale * scale, 2))
    x, y = (2 * np.pi * ground / scale).T
    height = scale * (0.12 + 0.05 * np.sin(2 * x + 1) * np.cos(y) + 0.02 * np.sin(5 * x + 3 * y))
    points = [np.column_stack([ground, height])]
    for share, centre in zip(
        (0.20, 0.15, 0.11, 0.08),
        ((0.3, 0.3, 0.5), (0.75, 0.3, 0.45), (0.3, 0.75, 0.4), (0.7, 0.7, 0.35)),
        strict=True,
    ):
        radius = share * scale
        normal = rng.normal(size=(int(12 * 4 * np.pi * radius**2), 3))
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        points.append(scale * np.array(centre) + radius * normal)
    cloud = np.concatenate(points)
    cloud += rng.normal(0, 0.1, cloud.shape)
    return _batched(np.floor(cloud).astype(np.int64))


def clusters(points: int, side: int) -> Sites:
    """Sites of a plane `side` wide hit by points in 40 round clusters of different width."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(0.1 * side, 0.9 * side, (40, 2))
    widths = side * rng.uniform(0.01, 0.03, 40)
    which = rng.integers(40, size=points)
    places = centres[which] + widths[which, None] * rng.normal(size=(points, 2))
    return _batched(np.floor(places).astype(np.int64))


def wafer_maps(data: Path, count: int = WAFER_MAPS) -> list[WaferMap]:
    """The first real die maps, with a failing die each, of WM-811K's validation part."""
    path = _existing(data / WAFER_FILE)
    maps = (wafer for wafer, _ in read_labelled(path) if len(wafer.defects))
    return list(islice(maps, count))


def wafer(data: Path, quick: bool) -> Sites:
    """The failing dies of those maps, a map an item of the batch, as the die-level network gets them."""
    batch = Dies().encode(wafer_maps(data, 16 if quick else WAFER_MAPS))
    return batch.dies.numpy().astype(np.int64)


def brain(data: Path, quick: bool) -> Sites:
    """The brightest 15% of the middle 96 mm of a brain's FLAIR image, at 2 mm a voxel (quick: 4 mm)."""
    path = _existing(data / BRAIN_FILE)
    try:
        import nibabel
    except ImportError as error:
        raise UserError(
            "nibabel, which reads the brain volume, is not installed; run scripts/install"
        ) from error
    step = 4 if quick else 2
    image = nibabel.load(path)
    volume = np.asarray(image.dataobj)  # type: ignore[attr-defined]
    middle = volume.shape[2] // 2
    volume = volume[::step, ::step, middle - 48 : middle + 48 : step]
    return _batched(brightest(volume, BRAIN_OCCUPANCY))


def brightest(volume: NDArray[np.generic], share: float) -> Sites:
    """The places (N, D) of that share of a volume's voxels; of equal ones the first."""
    flat = np.argsort(-volume.ravel().astype(np.float64), kind="stable")[: round(share * volume.size)]
    return np.stack(np.unravel_index(flat, volume.shape), axis=1)


def _batched(places: NDArray[np.int64]) -> Sites:
    return np.column_stack([np.zeros(len(places), dtype=np.int64), places])


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"there is no {path}; name the folder that holds wafer and medical with --data")
    return path


WORKLOADS = {
    "3d_random": Workload(3, lambda _, quick: drawn(60, 3, 10_000) if quick else drawn(128, 3, 100_000)),
    "3d_full": Workload(
        3, lambda _, quick: drawn(20, 3, 20**3) if quick else drawn(48, 3, 48**3), scanned=True
    ),
    "3d_surface": Workload(3, lambda _, quick: surface(60 if quick else 180)),
    "2d_clusters": Workload(2, lambda _, quick: clusters(10_000, 250) if quick else clusters(125_000, 880)),
    "2d_scattered": Workload(2, lambda _, quick: drawn(20_000, 2, 4_000 if quick else 32_000)),
    "wafer": Workload(2, wafer, scanned=True),
    "brain": Workload(3, brain, scanned=True),
}
