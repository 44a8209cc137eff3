"""Label maps as DICOM segmentations, for viewers and archives that take nothing else.

Needs the extra `dicom-seg`. The file repeats who the patient is, as its source says it: DICOM asks for that.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import generate_uid

from pipelines.common.files import replacing_bytes

from .dicom.reading import DAMAGED
from .record import Volume, VolumeError

HIGHDICOM = "pip install 'sparse-suite[dicom-seg]'"
SERIES_NUMBER = 900
_MAKER = "sparse-suite"
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")


def write_dicom_seg(
    path: Path, labels: NDArray[Any], like: Volume, names: Mapping[str, int], model: str
) -> None:
    """Write a label map to `path` as one DICOM segmentation with a binary segment for each label.

    labels: uint8 or uint16 (I, J, K) on the voxel grid of `like`.
    like: a volume read from DICOM; its files are read again for what the segmentation repeats of them.
    names: of the labels, to their values.
    model: what made the labels. The same labels of the same series always get the same identifiers.

    Raises VolumeError if highdicom is missing, the volume is not from DICOM, or nothing is labelled.
    """
    try:
        import highdicom  # an extra that few need, and slow to import
    except ImportError as error:
        raise VolumeError(f"DICOM segmentations need highdicom: {HIGHDICOM}") from error
    if like.header.get("format") != "dicom":
        raise VolumeError(f"{like.name} is not from DICOM, so there is no series to refer to")
    if labels.shape != like.shape:
        raise ValueError(f"the label map has the shape {labels.shape}, its volume {like.shape}")
    if not np.isin(labels, list(names.values())).any():
        raise VolumeError(f"nothing is labelled in {like.name}: DICOM has no empty segmentations")
    sources, frames = _sources(like, labels, names)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about names of patients that break the standard, and the like
            found = highdicom.seg.Segmentation(
                source_images=sources,
                pixel_array=frames,
                segmentation_type="BINARY",
                segment_descriptions=_segments(names, model),
                series_instance_uid=_uid(sources, frames, model, "series"),
                series_number=SERIES_NUMBER,
                sop_instance_uid=_uid(sources, frames, model, "instance"),
                instance_number=1,
                manufacturer=_MAKER,
                manufacturer_model_name=model,
                software_versions=version(_MAKER),
                device_serial_number="none",
            )
            with replacing_bytes(path) as file:
                found.save_as(file)
    except DAMAGED as error:
        # Without the words of the error, which may repeat what the source says about the patient.
        kind = type(error).__name__
        raise VolumeError(f"{path.name}: tags of the source break the DICOM standard ({kind})") from error


def _sources(
    like: Volume, labels: NDArray[Any], names: Mapping[str, int]
) -> tuple[list[pydicom.Dataset], NDArray[Any]]:
    """The source's files without pixels, and per image of theirs the segment numbers (rows, columns)."""
    slices: tuple[tuple[Path, int | None], ...] = like.header["slices"]
    numbers = np.zeros(labels.shape, np.uint8 if len(names) < 256 else np.uint16)
    for number, value in enumerate(names.values(), start=1):
        numbers[labels == value] = number
    files = list(dict.fromkeys(path for path, _ in slices))
    order = range(len(slices))
    if len(files) == 1:  # frames of one file stand in their own order
        order = sorted(order, key=lambda number: slices[number][1] or 0)  # type: ignore[assignment]
    frames = np.stack([numbers[..., number].T for number in order])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [_source(path, like.spacing[2]) for path in files], frames


def _source(path: Path, thickness: float) -> pydicom.Dataset:
    """A file's tags. Programs that strip names may empty its identifiers too; its file header has them."""
    found = pydicom.dcmread(path, stop_before_pixels=True)
    for name in ("SOPClassUID", "SOPInstanceUID"):
        if not found.get(name):
            setattr(found, name, found.file_meta.get(f"MediaStorage{name}", ""))
    lacking = [name for name in _NEEDED if not found.get(name)]
    if "PerFrameFunctionalGroupsSequence" not in found and not found.get("SliceThickness"):
        found.SliceThickness = thickness
    if lacking:
        raise VolumeError(f"{path.name} lacks {', '.join(lacking)}, which a DICOM segmentation has to repeat")
    return found


def _segments(names: Mapping[str, int], model: str) -> list[Any]:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    made_by = AlgorithmIdentificationSequence(
        name=model[:64], version=version(_MAKER), family=codes.DCM.ArtificialIntelligence
    )
    return [
        SegmentDescription(
            segment_number=number,
            segment_label=name[:64],
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type="AUTOMATIC",
            algorithm_identification=made_by,
        )
        for number, name in enumerate(names, start=1)
    ]


def _uid(sources: list[pydicom.Dataset], frames: NDArray[Any], model: str, what: str) -> str:
    content = hashlib.sha256(frames.tobytes()).hexdigest()
    return str(
        generate_uid(entropy_srcs=[what, model, content, *(str(one.SOPInstanceUID) for one in sources)])
    )
