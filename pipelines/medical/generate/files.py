"""Writers of sample volumes. Each returns the bytes of one file, and shares no code with the readers.

The same arguments give the same bytes. affine: (4, 4), from a voxel's index to mm in RAS+.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

Affine = NDArray[np.float64]
LPS = np.diag([-1.0, -1.0, 1.0])
INTERCEPT = -1024  # HU of a stored 0, as most CT scanners have it


def nifti(array: NDArray[Any], affine: Affine) -> bytes:
    """A .nii.gz file (NIfTI-1) with sform and qform."""
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    return packed(image.to_bytes())


def packed(data: bytes) -> bytes:
    """Gzipped, without a time or a name."""
    return gzip.compress(data, 9, mtime=0)


def nrrd(array: NDArray[np.int16], affine: Affine) -> bytes:
    """A .nrrd file, gzipped within, in the space RAS."""
    directions = " ".join(_bracketed(affine[:3, axis]) for axis in range(3))
    header = (
        "NRRD0004\n"
        "# A made-up volume.\n"
        "type: short\n"
        "dimension: 3\n"
        "space: right-anterior-superior\n"
        f"sizes: {' '.join(map(str, array.shape))}\n"
        f"space directions: {directions}\n"
        "kinds: domain domain domain\n"
        "endian: little\n"
        "encoding: gzip\n"
        f"space origin: {_bracketed(affine[:3, 3])}\n"
        "\n"
    )
    return header.encode("ascii") + packed(array.astype("<i2").tobytes(order="F"))


def metaimage(array: NDArray[np.int16], affine: Affine, modality: str) -> bytes:
    """An .mha file, compressed; MetaImage is LPS."""
    lps = LPS @ affine[:3]
    spacing = np.linalg.norm(lps[:, :3], axis=0)
    stored = zlib.compress(array.astype("<i2").tobytes(order="F"), 9)
    header = (
        "ObjectType = Image\n"
        "NDims = 3\n"
        "BinaryData = True\n"
        "BinaryDataByteOrderMSB = False\n"
        "CompressedData = True\n"
        f"CompressedDataSize = {len(stored)}\n"
        f"TransformMatrix = {_spaced((lps[:, :3] / spacing).T.ravel())}\n"
        f"Offset = {_spaced(lps[:, 3])}\n"
        "CenterOfRotation = 0 0 0\n"
        f"ElementSpacing = {_spaced(spacing)}\n"
        f"DimSize = {' '.join(map(str, array.shape))}\n"
        f"Modality = MET_MOD_{modality}\n"
        "ElementType = MET_SHORT\n"
        "ElementDataFile = LOCAL\n"
    )
    return header.encode("ascii") + stored


def dicom_series(array: NDArray[np.int16], affine: Affine, number: int, about: str) -> list[bytes]:
    """One CT image per slice along the third axis, uncompressed and without a word about a patient.

    array: HU (I, J, K), whose first axis runs along the rows of the images. about: the series' description.
    """
    lps = LPS @ affine[:3]
    spacing = np.linalg.norm(lps[:, :3], axis=0)
    directions = lps[:, :3] / spacing
    seed = f"{about} {number} {array.shape}"
    return [
        _ct_image(
            (array[:, :, k].T.astype(np.int32) - INTERCEPT).astype("<u2"),
            SeriesNumber=number,
            SeriesDescription=about,
            InstanceNumber=k + 1,
            SOPInstanceUID=_uid(f"{seed} {k}"),
            SeriesInstanceUID=_uid(seed),
            ImagePositionPatient=[_decimal(one) for one in lps @ np.array([0, 0, k, 1])],
            ImageOrientationPatient=[_decimal(one) for one in directions[:, :2].T.ravel()],
            PixelSpacing=[_decimal(spacing[1]), _decimal(spacing[0])],
            SliceThickness=_decimal(spacing[2]),
        )
        for k in range(array.shape[2])
    ]


def _ct_image(pixels: NDArray[np.uint16], **own: Any) -> bytes:
    """A CT Image object (DICOM PS3.3, A.3). pixels: (rows, columns)."""
    found = Dataset()
    found.SOPClassUID = CTImageStorage
    found.PatientName, found.PatientID, found.PatientBirthDate, found.PatientSex = "", "", "", ""
    found.PatientIdentityRemoved, found.DeidentificationMethod = "YES", "Made up: there is no patient"
    found.StudyInstanceUID, found.FrameOfReferenceUID = _uid("study"), _uid("frame of reference")
    found.StudyID, found.StudyDate, found.StudyTime, found.AccessionNumber = "", "", "", ""
    found.ReferringPhysicianName, found.PositionReferenceIndicator, found.Manufacturer = "", "", ""
    found.Modality, found.PatientPosition, found.ImageType = "CT", "HFS", ["DERIVED", "SECONDARY", "AXIAL"]
    found.KVP, found.AcquisitionNumber = None, None
    found.Rows, found.Columns = pixels.shape
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 16, 15, 0
    found.RescaleSlope, found.RescaleIntercept, found.RescaleType = 1, INTERCEPT, "HU"
    found.WindowCenter, found.WindowWidth = 40, 400
    for name, value in own.items():
        setattr(found, name, value)
    found.PixelData = pixels.tobytes()
    meta = found.file_meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, own["SOPInstanceUID"]
    meta.ImplementationClassUID, meta.ImplementationVersionName = UID(_uid("writer")), "SUITE"
    stream = io.BytesIO()
    found.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _uid(what: str) -> str:
    """A DICOM UID from a hash (PS3.5, B.2), always the same for the same words."""
    return f"2.25.{int.from_bytes(blake2b(what.encode(), digest_size=15).digest())}"


def _decimal(value: float) -> str:
    return f"{value:.9g}"


def _spaced(values: Sequence[float] | Affine) -> str:
    return " ".join(f"{value:.12g}" for value in values)


def _bracketed(values: Affine) -> str:
    return "(" + ",".join(f"{value:.12g}" for value in values) + ")"
