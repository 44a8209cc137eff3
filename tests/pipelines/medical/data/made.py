"""Small volumes and files made for the tests, and a comparison with SimpleITK, the second implementation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

from pipelines.medical.data.record import Volume

sitk: Any = SimpleITK  # it has no types
LPS = np.diag([-1.0, -1.0, 1.0])
SHAPE = (7, 5, 4)
AFFINE = np.array([[0.7, 0, 0, -20], [0, 0.8, 0, 15], [0, 0, 2.5, 100], [0, 0, 0, 1]])


def noise(shape: Sequence[int] = SHAPE, seed: int = 0) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-1000, 3000, shape).astype(np.int16)


def volume(array: NDArray[Any], affine: NDArray[np.float64] = AFFINE, name: str = "case") -> Volume:
    return Volume(array, affine, Path(f"{name}.nii.gz"), name)


def rotation(seed: int) -> NDArray[np.float64]:
    """A random rotation (3, 3)."""
    found, upper = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    found = found * np.sign(np.diag(upper))
    return found if np.linalg.det(found) > 0 else found[:, [1, 0, 2]]


def affine_of(
    axes: NDArray[np.float64], spacing: Sequence[float], origin: Sequence[float]
) -> NDArray[np.float64]:
    found = np.eye(4)
    found[:3, :3], found[:3, 3] = axes * np.asarray(spacing), origin
    return found


def itk_image(array: NDArray[Any], affine: NDArray[np.float64]) -> Any:
    """A SimpleITK image of (I, J, K) at an affine to RAS+ mm without shear."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
    lps = LPS @ affine[:3]
    spacing = np.linalg.norm(lps[:, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:, 3].tolist())
    return image


def assert_as_itk(volume: Volume, image: Any, tolerance_mm: float = 1e-3) -> None:
    """The same numbers at the same places, at the corners and at voxels drawn at random."""
    array = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    assert volume.shape == array.shape
    np.testing.assert_allclose(volume.array, array, rtol=1e-6)
    corners = itertools.product(*((0, side - 1) for side in array.shape))
    drawn = np.random.default_rng(0).integers(0, array.shape, (20, 3)).tolist()
    for index in [*corners, *drawn]:
        point = LPS @ np.array(image.TransformIndexToPhysicalPoint([int(one) for one in index]))
        np.testing.assert_allclose((volume.affine @ [*index, 1])[:3], point, atol=tolerance_mm)


def signed_permutations() -> Iterator[NDArray[np.float64]]:
    """All 48 ways in which stored axes may run along the patient's."""
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            yield np.eye(3)[:, list(order)] * signs


def ct_slice(position: Sequence[float], pixels: NDArray[Any], **changes: Any) -> Dataset:
    """One CT image in a file of its own. pixels: (rows, columns); position: mm, LPS."""
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.SOPClassUID = found.file_meta.MediaStorageSOPClassUID = CTImageStorage
    found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    found.PatientName, found.PatientID, found.PatientBirthDate, found.PatientSex = "Doe^Jane", "12345", "", ""
    found.StudyInstanceUID, found.FrameOfReferenceUID, found.SeriesInstanceUID = "1.2.3", "1.2.5", "1.2.4"
    found.StudyID, found.StudyDate, found.StudyTime, found.AccessionNumber = "", "", "", ""
    found.ReferringPhysicianName, found.Modality, found.SeriesNumber, found.InstanceNumber = "", "CT", 3, 1
    found.Manufacturer, found.PositionReferenceIndicator, found.PatientPosition = "", "", "HFS"
    found.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    found.Rows, found.Columns = pixels.shape[-2:]
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.BitsAllocated = found.BitsStored = 16
    found.HighBit, found.PixelRepresentation = 15, int(pixels.dtype == np.int16)
    found.PixelSpacing, found.ImageOrientationPatient = [0.8, 0.7], [1, 0, 0, 0, 1, 0]
    found.ImagePositionPatient = [float(f"{one:.6g}") for one in position]
    found.RescaleSlope, found.RescaleIntercept = 1, -1024
    found.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    for name, value in changes.items():
        if value is None:
            delattr(found, name)
        else:
            setattr(found, name, value)
    return found


def save(data: Dataset, path: Path) -> Path:
    data.save_as(path, enforce_file_format=True)
    return path


def ct_series(
    folder: Path, heights: Sequence[float], *, shift: Sequence[float] = (0.0, 0.0), **changes: Any
) -> NDArray[np.uint16]:
    """A series of axial slices at these heights, saved in another order than they lie. Returns the stored
    pixels (slices, rows, columns). shift: mm in x and y from slice to slice, as with a tilted gantry."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(1).integers(0, 4000, (len(heights), 5, 7)).astype(np.uint16)
    for number, height in enumerate(heights):
        position = (-20 + number * shift[0], -15 + number * shift[1], height)
        name = f"IM{(number * 7) % 101:03d}"
        save(ct_slice(position, pixels[number], InstanceNumber=number + 1, **changes), folder / name)
    return pixels


def enhanced_ct(path: Path, heights: Sequence[float], intercepts: Sequence[float]) -> NDArray[np.uint16]:
    """One file with a frame at each height; directions and spacing are shared.

    Returns the stored pixels (frames, rows, columns).
    """
    pixels = np.random.default_rng(2).integers(0, 4000, (len(heights), 5, 7)).astype(np.uint16)
    found = ct_slice((0, 0, 0), pixels, SOPClassUID=EnhancedCTImageStorage, NumberOfFrames=len(heights))
    found.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    for name in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        delattr(found, name)
    shared = Dataset()
    shared.PlaneOrientationSequence = Items([_items(ImageOrientationPatient=[0, 1, 0, 0, 0, -1])])
    shared.PixelMeasuresSequence = Items([_items(PixelSpacing=[0.8, 0.7], SliceThickness=2)])
    found.SharedFunctionalGroupsSequence = Items([shared])
    frames = []
    for height, intercept in zip(heights, intercepts, strict=True):
        frame = Dataset()
        frame.PlanePositionSequence = Items([_items(ImagePositionPatient=[height, -30, 50])])
        scaling = _items(RescaleSlope=2, RescaleIntercept=intercept, RescaleType="HU")
        frame.PixelValueTransformationSequence = Items([scaling])
        frames.append(frame)
    found.PerFrameFunctionalGroupsSequence = Items(frames)
    save(found, path)
    return pixels


def _items(**values: Any) -> Dataset:
    found = Dataset()
    for name, value in values.items():
        setattr(found, name, value)
    return found


def with_identifiers(source: Path, target: Path) -> None:
    """A copy of a series that was stripped of the identifiers which segmentations refer to."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        data = pydicom.dcmread(path)
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, data.file_meta.MediaStorageSOPInstanceUID
        data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3", "1.2.4"
        data.save_as(target / path.name)
