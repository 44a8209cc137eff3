"""NIfTI-1 and NIfTI-2, as one file or as a pair of .hdr and .img, gzipped or not.

The header is decoded by nibabel. The voxels are read here, so that no more is unpacked or reserved than the
header asks for and the file can hold.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from nibabel.imageglobals import LoggingOutputSuppressor
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from .limits import MAX_VOXELS, check_shape, check_stored, check_voxels
from .names import case_name
from .numbers import plain, rescaled
from .place import apart_mm, check_affine, from_axes, usable
from .record import Volume, VolumeError
from .unpack import stored

GZIP_MAGIC: Final = b"\x1f\x8b"
HEADER_BYTES: Final = 540  # of NIfTI-2; the 348 of NIfTI-1 are fewer
MAX_OFFSET: Final = 64 * 2**20  # of the voxels: what extensions of the header may take
DISAGREE_MM: Final = 0.01
# What places the voxels, kept to the bit for what is written beside the file.
PLACE_FIELDS: Final = (
    "pixdim", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d",
    "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units",
)  # fmt: skip
_UNITS_MM: Final = {1: 1000.0, 3: 0.001}  # metres and micrometres; all else is millimetres


def looks_like(head: bytes) -> bool:
    """Whether a file that begins with these bytes, unpacked, is NIfTI."""
    return head[344:347] in (b"n+1", b"ni1") or head[4:7] in (b"n+2", b"ni2")


def is_analyze(head: bytes) -> bool:
    """Whether these bytes are a header of Analyze 7.5, from which NIfTI was made."""
    sizes = (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big"))
    return len(head) >= 348 and 348 in sizes and not looks_like(head)


def read(path: Path, *, max_voxels: int = MAX_VOXELS) -> Volume:
    """The volume of a NIfTI file, or of the .hdr of a pair.

    Raises:
        OSError: it cannot be opened.
        VolumeError: it is damaged, places its voxels nowhere, is not one 3D volume of real numbers, or has
            more than `max_voxels`.
    """
    try:
        with _open(path) as stream:
            head = stream.read(HEADER_BYTES)
        header = _header(head)
        shape, affine, notes = _grid(header)
        check_voxels(shape, max_voxels)
        raw = _voxels(path, header, shape)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise VolumeError("its gzip data is damaged or cut short: copy the file again") from error
    slope, intercept = _scaling(header)
    return Volume(
        array=rescaled(raw, slope, intercept),
        affine=affine,
        source=path,
        name=case_name(path),
        header={
            "format": "nifti",
            "version": 2 if isinstance(header, Nifti2Header) else 1,
            "place": {name: np.array(header[name]) for name in PLACE_FIELDS},
        },
        notes=tuple(notes),
    )


def read_grid(path: Path) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Shape and affine of a file, from its header alone. Raises as `read` does."""
    try:
        with _open(path) as stream:
            shape, affine, _ = _grid(_header(stream.read(HEADER_BYTES)))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise VolumeError("its gzip data is damaged or cut short: copy the file again") from error
    return shape, affine


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as stream:
        packed = stream.read(2) == GZIP_MAGIC
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


def _header(head: bytes) -> Nifti1Header:
    kind: Any = Nifti2Header if head[4:7] in (b"n+2", b"ni2") else Nifti1Header
    if not looks_like(head):
        if is_analyze(head):
            raise VolumeError(
                "this is an Analyze 7.5 header, which does not tell left from right: convert it to NIfTI"
            )
        raise VolumeError("this is no NIfTI file, or its header is cut short")
    if len(head) < kind.template_dtype.itemsize:
        raise VolumeError("its header is cut short")
    with LoggingOutputSuppressor():
        try:
            header: Nifti1Header = kind(head[: kind.template_dtype.itemsize], check=False)
        except (HeaderDataError, ValueError) as error:
            raise VolumeError(f"its header is damaged: {error}") from error
    return header


def _grid(header: Nifti1Header) -> tuple[tuple[int, int, int], NDArray[np.float64], list[str]]:
    axes = int(header["dim"][0])
    if not 1 <= axes <= 7:
        raise VolumeError("its header states a number of axes that no image has: the file is damaged")
    sides = [int(side) for side in header["dim"][1 : 1 + axes]]
    if axes < 3:
        raise VolumeError("it holds a 2D image; a volume with three axes is needed")
    more = math.prod(sides[3:])
    if more != 1:
        raise VolumeError(
            f"it holds {more} volumes along a fourth axis; one is needed: split it, one file per volume"
            if more > 1
            else "its header states a fourth axis without volumes: the file is damaged"
        )
    shape = check_shape(sides[:3])
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers that are none; the affine is refused then
        affine, notes = _affine(header, shape)
    return shape, affine, notes


def _affine(header: Nifti1Header, shape: tuple[int, int, int]) -> tuple[NDArray[np.float64], list[str]]:
    """The sform if there is one, else the qform, else spacing alone, as NIfTI's three methods go."""
    notes = []
    sform = header.get_sform() if int(header["sform_code"]) > 0 else None
    qform = _qform(header) if int(header["qform_code"]) > 0 else None
    if sform is not None and qform is not None and usable(qform):
        if not usable(sform):
            notes.append("its sform places no voxels; the qform was taken")
            sform = None
        elif (apart := apart_mm(sform, qform, shape)) > DISAGREE_MM:
            notes.append(f"its sform and qform lie up to {apart:.3g} mm apart; the sform was taken")
    affine = sform if sform is not None else qform
    if affine is None:
        affine = from_axes(np.diag(np.abs(header["pixdim"][1:4].astype(float))), np.zeros(3))
        notes.append(
            "it does not say how it lies (sform and qform codes are 0); its axes were taken to run to the"
            " right, front and head"
        )
    scale = _UNITS_MM.get(int(header["xyzt_units"]) & 7, 1.0)
    if scale != 1:
        affine = np.diag([scale, scale, scale, 1.0]) @ affine
        notes.append(f"its lengths are in {'metres' if scale > 1 else 'micrometres'} and were turned to mm")
    return check_affine(affine), notes


def _qform(header: Nifti1Header) -> NDArray[np.float64]:
    try:
        found: NDArray[np.float64] = header.get_qform()
    except (HeaderDataError, ValueError):  # a quaternion of no rotation, or a negative spacing
        return np.zeros((4, 4))
    return found


def _scaling(header: Nifti1Header) -> tuple[float, float]:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not math.isfinite(slope):  # the standard: 0 means that nothing is scaled
        return 1.0, 0.0
    return slope, intercept if math.isfinite(intercept) else 0.0


def _voxels(path: Path, header: Nifti1Header, shape: tuple[int, int, int]) -> NDArray[Any]:
    try:
        dtype = header.get_data_dtype()
    except (HeaderDataError, KeyError) as error:
        raise VolumeError(
            f"its header states an unknown type of voxels, {int(header['datatype'])}"
        ) from error
    plain(np.empty(0, dtype))  # refuses colours before anything is read
    magic = bytes(header["magic"].tobytes())
    paired = magic[:3] in (b"ni1", b"ni2")
    data_path = image_of(path) if paired else path
    offset = float(header["vox_offset"])
    if not (math.isfinite(offset) and 0 <= offset <= MAX_OFFSET):
        raise VolumeError(f"its header puts the voxels at byte {offset:g}: the file is damaged")
    wanted = math.prod(shape) * dtype.itemsize
    with _open(data_path) as stream:
        packed = isinstance(stream, gzip.GzipFile)
        check_stored(wanted + int(offset), data_path.stat().st_size, packed=packed)
        if len(stream.read(int(offset))) < int(offset):
            raise VolumeError("it is cut short: there are no voxels after its header")
        content = stored(stream, wanted)
        if packed:
            stream.read(1)  # at the end of the data gzip compares its checksum
    voxels: NDArray[Any] = content.view(dtype).reshape(shape, order="F")
    return voxels


def image_of(header: Path) -> Path:
    """The file of voxels beside a .hdr. Raises VolumeError if it is missing."""
    stem = header.name.removesuffix(".gz")
    stem = stem[:-4] if stem.lower().endswith(".hdr") else stem
    for ending in (".img", ".img.gz", ".IMG"):
        if (found := header.with_name(stem + ending)).is_file():
            return found
    raise VolumeError(f"the voxels of this header are missing: there is no {stem}.img beside it")
