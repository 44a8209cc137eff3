"""The volumes of a case on the review page, turned as radiologists look at them. Free of Streamlit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)
from numpy.typing import NDArray
from scipy import ndimage

from apps.items import Row, Run, visible
from pipelines.common.errors import UserError
from pipelines.medical.data.files import VolumeFile, find_volumes, read_volume
from pipelines.medical.data.limits import MAX_VOXELS
from pipelines.medical.data.place import apart_mm
from pipelines.medical.data.record import Volume
from pipelines.medical.label_maps import as_labels, find_label_maps

# Where the axes of what is shown run. An index then grows to the right of the page, or downwards: the
# patient's right is on the left of an axial or coronal picture, the front on the left of a sagittal one.
PAGE_AXES = ("L", "P", "I")
SAME_PLACE_MM = 0.05  # more than the rounding of a header, and far less than a voxel
MASKS, UNCERTAINTY, ENDING = "masks", "uncertainty", ".nii.gz"

Place = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A volume whose axes are turned and flipped to run as PAGE_AXES, or as near as they come.

    array: (A, B, C), a view of what was read. affine: float64 (4, 4), from (a, b, c) to mm in RAS+.
    stored: from (i, j, k) of the file to the same mm.
    """

    array: NDArray[Any]
    affine: NDArray[np.float64]
    stored: NDArray[np.float64]
    modality: str = ""

    @property
    def shape(self) -> Place:
        a, b, c = self.array.shape
        return a, b, c

    @property
    def spacing(self) -> tuple[float, float, float]:
        """mm per voxel along the turned axes."""
        a, b, c = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return a, b, c

    @property
    def tilt(self) -> float:
        """Degrees by which the axis that leaves the patient's axes most does so."""
        cosines = np.abs(np.diag(self.affine[:3, :3])) / self.spacing
        return float(np.rad2deg(np.arccos(np.clip(cosines.min(), -1, 1))))

    def mm(self, at: Place) -> tuple[float, float, float]:
        """Where a voxel's centre is, RAS+."""
        x, y, z = (self.affine @ [*at, 1])[:3].tolist()
        return x, y, z

    def index(self, at: Place) -> Place:
        """The voxel's (i, j, k) in the file."""
        i, j, k = np.rint(np.linalg.solve(self.stored, [*self.mm(at), 1]))[:3].astype(int).tolist()
        return i, j, k


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """A label map (A, B, C) on the grid of its image, and the box of each value that occurs."""

    array: NDArray[Any]
    boxes: dict[int, tuple[slice, slice, slice]]

    def middle(self, value: int) -> Place:
        """A voxel of the label near its centroid, in a slice that shows it; the centre if there is none."""
        box = self.boxes.get(value)
        if box is None:
            a, b, c = (side // 2 for side in self.array.shape)
            return a, b, c
        inside = self.array[box] == value
        counts = inside.sum((0, 1))
        centre = (counts * np.arange(len(counts))).sum() / counts.sum()
        full = np.flatnonzero(counts >= 0.5 * counts.max())
        c = int(full[np.abs(full - centre).argmin()])
        voxels = np.argwhere(inside[:, :, c])
        a, b = voxels[((voxels - voxels.mean(0)) ** 2).sum(1).argmin()].tolist()
        return a + box[0].start, b + box[1].start, c + box[2].start

    def count(self, value: int) -> int:
        box = self.boxes.get(value)
        return 0 if box is None else int(np.count_nonzero(self.array[box] == value))


def read_image(run: Run, row: Row, channel: int) -> Seen:
    """One channel of a case. Raises UserError if it is gone, or is not what was segmented."""
    seen, _ = _turned(read_volume_of(run, row, channel))
    return seen


def read_volume_of(run: Run, row: Row, channel: int) -> Volume:
    """One channel of a case as its file has it. Raises UserError if it is not what was segmented."""
    source = run.source(str(row["sources"][channel]))
    volume = read_volume(_volume_at(source, row), max_voxels=max_voxels(run))
    if (sides := "x".join(map(str, volume.shape))) != row["shape"]:
        raise UserError(
            f"{visible(str(source))} has changed since the run: it has {sides} voxels, and had {row['shape']}"
        )
    return volume


def read_mask(run: Run, row: Row, like: Seen) -> Labels:
    """The mask that the run holds of a case. Raises UserError if it does not lie on the image."""
    return labels_on(read_volume(artefact(run, MASKS, row), max_voxels=max_voxels(run)), like)


def read_doubt(run: Run, row: Row, like: Seen) -> NDArray[np.uint8]:
    """The uncertainty (A, B, C) of a case in 1/255."""
    seen, volume = _turned(read_volume(artefact(run, UNCERTAINTY, row), max_voxels=max_voxels(run)))
    _check_place(seen, like, volume)
    doubt: NDArray[np.uint8] = np.rint(seen.array * 255).astype(np.uint8)
    return doubt


def read_truth(folder: Path, row: Row, like: Seen) -> Labels | None:
    """The truth of a case in a folder of label maps named as the cases; None if there is none."""
    found = find_label_maps(folder).get(str(row["case"]))
    if found is None:
        return None
    most = max(MAX_VOXELS, like.array.size)  # the image was read, and a truth on its grid is as large
    return labels_on(read_volume(found, max_voxels=most), like)


def labels_on(volume: Volume, like: Seen) -> Labels:
    """A label map on the grid of `like`. Raises UserError if it lies elsewhere or holds no labels."""
    _check_place(_turned(volume)[0], like, volume)
    seen, _ = _turned(replace(volume, array=as_labels(volume)))
    boxes = {value: box for value, box in enumerate(ndimage.find_objects(seen.array), 1) if box is not None}
    return Labels(seen.array, boxes)


def max_voxels(run: Run) -> int:
    """Up to which size the run read volumes."""
    return run.limit("max_voxels", MAX_VOXELS)


def artefact(run: Run, folder: str, row: Row) -> Path:
    """The file that a run wrote of a case. Raises UserError if its name leads out of the run folder."""
    return run.artefact(f"{folder}/{row['case']}{ENDING}")


def dice(one: Labels, other: Labels, value: int) -> float | None:
    """2 |A n B| / (|A| + |B|) of a label (Dice 1945); None if neither has it."""
    total = one.count(value) + other.count(value)
    if not total:
        return None
    box = one.boxes.get(value)
    if box is None:
        return 0.0
    common = np.count_nonzero((one.array[box] == value) & (other.array[box] == value))
    return 2 * int(common) / total


def _volume_at(source: Path, row: Row) -> VolumeFile | Path:
    """The volume of a row in a file, or among the DICOM series of a folder."""
    if not source.is_dir():
        return source
    found = [item for item in find_volumes([source]) if isinstance(item, VolumeFile) and item.path == source]
    if len(found) > 1:
        found = [item for item in found if str(row["case"]).endswith(item.name)]
    if len(found) != 1:
        raise UserError(
            f"{visible(str(source))} holds no DICOM series or several, and which was segmented is not known"
        )
    return found[0]


def _turned(volume: Volume) -> tuple[Seen, Volume]:
    orientation = _orientation(volume.affine)
    affine = volume.affine @ inv_ornt_aff(orientation, volume.shape)
    array = apply_orientation(volume.array, orientation)
    return Seen(array, affine, volume.affine, volume.modality), volume


def _orientation(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = ornt_transform(io_orientation(affine), axcodes2ornt(PAGE_AXES))
    return found


def _check_place(seen: Seen, like: Seen, volume: Volume) -> None:
    if seen.shape != like.shape or apart_mm(seen.affine, like.affine, like.shape) > SAME_PLACE_MM:
        raise UserError(
            f"{visible(str(volume.source))} does not lie on its image, so it is not drawn over it"
        )
