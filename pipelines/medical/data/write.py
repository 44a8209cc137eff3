"""Label maps and maps of certainty as NIfTI files that lie exactly where their source lies."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Final

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from numpy.typing import NDArray

from pipelines.common.files import replacing_bytes

from .record import Volume, VolumeError

MAX_NIFTI1_SIDE: Final = 32_767
GZIP_LEVEL: Final = 6
RIGHT_ANGLE: Final = 1e-4  # of the cosine between axes: more, and a qform cannot say how the volume lies


def write_labels(path: Path, labels: NDArray[Any], like: Volume) -> None:
    """Write a label map to `path`, a .nii.gz file.

    labels: uint8 or uint16 (I, J, K), on the voxel grid of `like`.
    like: the volume that was segmented. The codes and matrices of a NIfTI source are kept to the bit; for
        other formats sform and qform are set from the affine.
    """
    if labels.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"labels must be uint8 or uint16, not {labels.dtype}")
    _write(path, labels, like, intent="label")


def write_map(path: Path, values: NDArray[Any], like: Volume) -> None:
    """Write a map of shares, such as an uncertainty, to `path`, a .nii.gz file.

    values: float (I, J, K) from 0 to 1, on the voxel grid of `like`; stored in steps of 1/255.
    """
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise ValueError("the values of a map must lie between 0 and 1")
    _write(path, np.rint(values * 255).astype(np.uint8), like, intent="estimate", slope=1 / 255)


def _write(path: Path, array: NDArray[Any], like: Volume, intent: str, slope: float = 1.0) -> None:
    if array.shape != like.shape:
        raise ValueError(f"the map has the shape {array.shape}, its volume {like.shape}")
    if not path.name.endswith(".nii.gz"):
        raise VolumeError(f"{path.name}: label maps are written as .nii.gz; give the file that ending")
    header = _header_like(like)
    header.set_data_dtype(array.dtype)
    header.set_intent(intent)
    header["descrip"] = b""
    header["scl_slope"], header["scl_inter"] = slope, 0.0
    header["magic"] = b"n+2" if isinstance(header, Nifti2Header) else b"n+1"
    header["vox_offset"] = header.template_dtype.itemsize + 4
    with replacing_bytes(path) as file, gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0) as packed:
        packed.write(header.binaryblock + bytes(4))  # the four bytes say that no extension follows
        for number in range(array.shape[2]):
            packed.write(array[:, :, number].tobytes(order="F"))


def _header_like(like: Volume) -> Nifti1Header:
    place = like.header.get("place") if like.header.get("format") == "nifti" else None
    second = like.header.get("version") == 2 if place else max(like.shape) > MAX_NIFTI1_SIDE
    header = Nifti2Header() if second else Nifti1Header()
    header.set_data_shape(like.shape)
    if place:
        for name, value in place.items():
            header[name] = value
        return header
    header.set_xyzt_units("mm")
    header.set_zooms(like.spacing)
    header.set_sform(like.affine, code="scanner")
    axes = like.affine[:3, :3] / like.spacing
    if np.abs(axes.T @ axes - np.eye(3)).max() < RIGHT_ANGLE:
        header.set_qform(like.affine, code="scanner")
    return header
