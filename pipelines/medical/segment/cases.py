"""The cases of a run: what is found, under which names, how large it is, and what it will take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.medical.data.channels import find_cases
from pipelines.medical.data.dicom import Series
from pipelines.medical.data.files import VolumeFile, read_grid
from pipelines.medical.data.names import unique_names
from pipelines.medical.data.place import LPS_TO_RAS
from pipelines.medical.data.record import VolumeError
from pipelines.medical.data.walk import SkippedFile
from pipelines.medical.geometry import Turn
from pipelines.medical.prepare import spacing_of
from pipelines.medical.segment.memory import Sizes
from pipelines.medical.segment.predict import Predictor

DICOM_BYTES = 2  # of a voxel: whole numbers, as scanners store them
SOME_BYTES = 4


@dataclass(frozen=True, slots=True)
class Task:
    """One case to segment. name: unique in the run. images: in the order of the channels, empty where the
    case is known to fail for the reason `problem`. sizes: None where they show only when it is read."""

    source: Path
    name: str
    images: tuple[VolumeFile, ...]
    sizes: Sizes | None = None
    problem: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return str(self.source), self.name

    @property
    def stored_bytes(self) -> int:
        """Of all files of the case; a resumed run tells by it that a file has changed."""
        total = 0
        for image in self.images:
            files = {one.path for one in image.series.slices} if image.series else {image.path}
            for path in files:
                try:
                    total += path.stat().st_size
                except OSError:
                    return 0
        return total


def list_tasks(paths: Sequence[Path], channels: Sequence[str]) -> tuple[list[Task], list[SkippedFile]]:
    """All cases among files and folders, and the files in folders that are no part of one."""
    found, problems, skipped = [], [], []
    for item in find_cases(paths, channels):
        if not isinstance(item, SkippedFile):
            found.append(item)
        elif item.named:
            problems.append(item)
        else:
            skipped.append(item)
    named = [(case.name, case.images[0].path.parent) for case in found]
    named += [(item.path.name or "volume", item.path.parent) for item in problems]
    names = unique_names(named)
    tasks = []
    for case, name in zip(found, names, strict=False):
        tasks.append(Task(case.images[0].path, name, case.images, sizes_of(case.images[0])))
    for item, name in zip(problems, names[len(found) :], strict=True):
        tasks.append(Task(item.path, name, (), problem=item.reason))
    return tasks, skipped


def sizes_of(image: VolumeFile) -> Sizes | None:
    """What the header says of a volume's size; None if it does not, or is damaged."""
    try:
        if image.series is not None:
            return sizes_on_grid(*_series_grid(image.series), DICOM_BYTES)
        grid = read_grid(image.path)
        return None if grid is None else sizes_on_grid(*grid)
    except (VolumeError, ValueError, np.linalg.LinAlgError):  # the reader will say what is wrong
        return None


def _series_grid(series: Series) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Shape and steps of a DICOM series, as its reader lays it out; the origin does not matter here."""
    row, column = np.array(series.directions[:3]), np.array(series.directions[3:])
    normal = np.cross(row, column)
    along = np.array([one.position for one in series.slices]) @ normal
    count = len(series.slices)
    step = float(np.ptp(along)) / (count - 1) if count > 1 else 1.0
    axes = np.stack([row * series.spacing[1], column * series.spacing[0], normal * step], axis=1)
    affine = LPS_TO_RAS.copy()
    affine[:3, :3] = LPS_TO_RAS[:3, :3] @ axes
    return (series.columns, series.rows, count), affine


def sizes_on_grid(
    shape: tuple[int, int, int], affine: NDArray[np.float64], item_bytes: int = SOME_BYTES
) -> Sizes:
    """Sizes of a volume from its shape (I, J, K) and its affine."""
    axes = Turn.of(affine, shape).orientation[:, 0].argsort()
    i, j, k = (shape[axis] for axis in axes)
    spacing = spacing_of(affine)
    x, y, z = (spacing[axis] for axis in axes)
    return Sizes(shape, (i, j, k), (x, y, z), item_bytes)


def largest(tasks: Sequence[Task], predictor: Predictor) -> tuple[float, str]:
    """The bytes that the largest case takes beside the process and the model, and its name."""
    needs = [(predictor.case_bytes(task.sizes), task.name) for task in tasks if task.sizes]
    return max(needs, default=(0.0, ""))


def work(task: Task) -> float:
    """How much there is to do, for the time left: voxels, or 0 where nothing is known."""
    return float(np.prod(task.sizes.shape)) if task.sizes else 0.0
