"""Which DICOM files belong together, from their tags alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from ..limits import MAX_VOXELS, check_shape, check_voxels
from ..record import VolumeError
from .reading import DAMAGED, quiet, read_tags

MAX_FRAMES: Final = 100_000
SAME_DIRECTION: Final = 1e-3  # of direction cosines and of spacing in mm
_PREAMBLE: Final = 128
_ENHANCED: Final = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_TAGS: Final = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "Modality", "ImageType", "Rows",
    "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept",
    "ModalityLUTSequence", *_ENHANCED,
]  # fmt: skip
_NO_SLICES: Final = ("SEG", "RTDOSE", "RTIMAGE")


@dataclass(frozen=True, slots=True)
class Slice:
    """One image of a series. position: mm, LPS, of the centre of its first voxel."""

    path: Path
    frame: int | None
    position: tuple[float, float, float]
    slope: float
    intercept: float
    instance: str


@dataclass(frozen=True, slots=True)
class Series:
    """Slices that belong together, in any order.

    uid: of the series; it is kept to tell series apart and is written nowhere.
    directions: of the row and of the column, six cosines, LPS.
    spacing: mm between rows, and between columns.
    """

    folder: Path
    uid: str
    number: str
    modality: str
    rows: int
    columns: int
    directions: tuple[float, ...]
    spacing: tuple[float, float]
    slices: tuple[Slice, ...]
    notes: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """What tells this series from others of its folder, without a word about the patient."""
        place = f"{self.uid} {self.rows} {self.columns} {np.round(self.directions, 2).tolist()}"
        short = hashlib.sha256(place.encode()).hexdigest()[:6]
        return f"series{self.number}_{short}" if self.number else f"series_{short}"


@dataclass(frozen=True, slots=True)
class NotASlice:
    """A DICOM file that is no part of a volume, and why."""

    path: Path
    reason: str
    damaged: bool = False


def looks_like(head: bytes) -> bool:
    """Whether a file that begins with these bytes is DICOM: it is known by its preamble."""
    return head[_PREAMBLE : _PREAMBLE + 4] == b"DICM"


def series_of(paths: Iterable[Path]) -> Iterator[Series | NotASlice]:
    """The series among DICOM files, one for each UID, orientation, size and spacing of the images.

    What is no slice comes first, with its reason; then the series, in the order of their first files.
    """
    found: list[Series] = []
    for path in paths:
        try:
            part = _part(path)
        except VolumeError as error:
            yield NotASlice(path, str(error))
            continue
        except OSError as error:
            yield NotASlice(path, f"cannot be read: {error.strerror}")
            continue
        except DAMAGED:
            yield NotASlice(path, "the DICOM file is damaged", damaged=True)
            continue
        twin = next((number for number, one in enumerate(found) if _together(one, part)), None)
        if twin is None:
            found.append(part)
        else:
            found[twin] = _joined(found[twin], part)
    for series in found:
        if len(series.slices) < 2:
            yield NotASlice(series.slices[0].path, "a single image of its kind, which is no volume")
        else:
            yield series


def _part(path: Path) -> Series:
    """What one file gives to a series."""
    data = read_tags(path, _TAGS)
    with quiet():
        modality, number = str(data.get("Modality", "")), data.get("SeriesNumber")
        _check_kind(data, modality)
        slices, directions, spacing = _frames(data, path)
        if data.get("ModalityLUTSequence"):
            raise VolumeError("its values go through a table (Modality LUT), which is not supported")
        return Series(
            folder=path.parent,
            uid=str(data.get("SeriesInstanceUID") or number),
            number="" if number is None else str(int(number)),
            modality=modality,
            rows=int(data.Rows),
            columns=int(data.Columns),
            directions=directions,
            spacing=spacing,
            slices=tuple(slices),
        )


def _check_kind(data: Dataset, modality: str) -> None:
    """Raise VolumeError for what is no image of a volume, and InvalidDicomError for what is nothing."""
    if "Rows" not in data and not modality:
        raise InvalidDicomError("neither an image nor anything else with a modality")
    if "Rows" not in data or "Columns" not in data:
        raise VolumeError(f"no image (modality {modality or 'unknown'})")
    kind = data.get("ImageType") or []
    if "LOCALIZER" in (str(part).upper() for part in ([kind] if isinstance(kind, str) else kind)):
        raise VolumeError("a localizer, which only shows where the scan was taken")
    if modality in _NO_SLICES:
        raise VolumeError(f"modality {modality}, which is no slice of a scan")
    if int(data.get("SamplesPerPixel") or 1) != 1:
        raise VolumeError("a colour image, which is no slice of a scan")
    columns, rows, _ = check_shape(
        (int(data.Columns), int(data.Rows), max(1, int(data.get("NumberOfFrames") or 1)))
    )
    check_voxels((columns, rows, 1), MAX_VOXELS)  # of a slice; the volume's are asked for when it is read


def _frames(data: Dataset, path: Path) -> tuple[list[Slice], tuple[float, ...], tuple[float, float]]:
    """Slices, directions and spacing of a file."""
    frames = int(data.get("NumberOfFrames") or 1)
    instance = str(data.get("SOPInstanceUID", ""))
    groups = data.get("PerFrameFunctionalGroupsSequence")
    if not groups:
        if frames != 1:
            raise VolumeError("frames without positions, which are no volume")
        place, scaling = _place(data, data, data), _scaling(data)
        return [Slice(path, None, place[0], *scaling, instance)], place[1], place[2]
    if frames > MAX_FRAMES or len(groups) != frames:
        raise VolumeError(f"it states {frames} frames and describes {len(groups)}: the file is damaged")
    shared = (data.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    slices, places = [], []
    for number, own in enumerate(groups):
        place = _place(
            _group(own, shared, "PlanePositionSequence"),
            _group(own, shared, "PlaneOrientationSequence"),
            _group(own, shared, "PixelMeasuresSequence"),
        )
        scaling = _scaling(_group(own, shared, "PixelValueTransformationSequence"))
        slices.append(Slice(path, number, place[0], *scaling, f"{instance} {number}"))
        places.append((*place[1], *place[2]))
    if np.abs(np.array(places) - places[0]).max() > SAME_DIRECTION:
        raise VolumeError("its frames lie in several directions; store it as one series for each")
    return slices, places[0][:6], (places[0][6], places[0][7])


def _group(own: Dataset, shared: Dataset, name: str) -> Dataset:
    found = own.get(name) or shared.get(name)
    return found[0] if found else Dataset()


def _place(
    position: Dataset, orientation: Dataset, measures: Dataset
) -> tuple[tuple[float, float, float], tuple[float, ...], tuple[float, float]]:
    where = _floats(position, "ImagePositionPatient", 3, "where it lies")
    directions = _floats(orientation, "ImageOrientationPatient", 6, "how it lies")
    spacing = _floats(measures, "PixelSpacing", 2, "the size of its pixels")
    return (where[0], where[1], where[2]), directions, (spacing[0], spacing[1])


def _floats(data: Dataset, name: str, count: int, what: str) -> tuple[float, ...]:
    value = data.get(name)
    if value is None or value == "":
        raise VolumeError(f"it does not say {what} ({name}), so it is no slice of a volume")
    found = tuple(float(part) for part in value) if not isinstance(value, (str, float)) else ()
    if len(found) != count or not np.isfinite(found).all():
        raise VolumeError(f"its {name} does not have {count} numbers: the file is damaged")
    return found


def _scaling(data: Dataset) -> tuple[float, float]:
    slope, intercept = data.get("RescaleSlope"), data.get("RescaleIntercept")
    return (1.0 if slope is None else float(slope)), (0.0 if intercept is None else float(intercept))


def _together(one: Series, other: Series) -> bool:
    if (one.uid, one.rows, one.columns) != (other.uid, other.rows, other.columns):
        return False
    numbers = np.array([[*part.directions, *part.spacing] for part in (one, other)])
    return bool(np.abs(numbers[0] - numbers[1]).max() <= SAME_DIRECTION)


def _joined(one: Series, other: Series) -> Series:
    return replace(one, slices=one.slices + other.slices)
