"""MetaImage: .mha, or a header .mhd with its voxels in another file of the same folder.

A header is lines of `Name = value`; its last, `ElementDataFile`, says where the voxels are. Lengths are mm,
axes of space run to the patient's left, back and head (LPS), and rows of `TransformMatrix` are the
directions of the voxel axes.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from . import unpack
from .beside import file_beside
from .limits import MAX_VOXELS, check_shape, check_stored, check_voxels
from .names import case_name
from .numbers import plain
from .place import LPS_TO_RAS, check_affine, from_axes
from .record import Volume, VolumeError

MAX_HEADER_BYTES: Final = 2**20
MAX_AXES: Final = 10
_TYPES: Final = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_Header = dict[str, str]


def looks_like(head: bytes) -> bool:
    """Whether a file that begins with these bytes is MetaImage."""
    first = head[:64].lstrip()
    return first.startswith((b"ObjectType", b"NDims", b"Comment =", b"ObjectSubType"))


def read(path: Path, *, max_voxels: int = MAX_VOXELS) -> Volume:
    """The volume of a MetaImage file.

    Raises:
        OSError: it cannot be opened.
        VolumeError: it is damaged, places its voxels nowhere, is not one 3D volume of real numbers, or has
            more than `max_voxels`.
    """
    with path.open("rb") as stream:
        header = _header(stream)
        shape, affine, notes = _grid(header)
        check_voxels(shape, max_voxels)
        where = header["elementdatafile"]
        if where.upper() == "LOCAL":
            array = _voxels(stream, path, header, shape)
        else:
            if where.upper().startswith("LIST") or "%" in where:
                raise VolumeError("its voxels are in one file per slice; store it as one .mha file")
            data_path = file_beside(path, where)
            with data_path.open("rb") as data:
                array = _voxels(data, data_path, header, shape)
    modality = {"MET_MOD_CT": "CT", "MET_MOD_MR": "MR"}.get(header.get("modality", ""), "")
    return Volume(
        array, affine, path, case_name(path), modality, header={"format": "metaimage"}, notes=tuple(notes)
    )


def read_grid(path: Path) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Shape and affine of a file, from its header alone. Raises as `read` does."""
    with path.open("rb") as stream:
        shape, affine, _ = _grid(_header(stream))
    return shape, affine


def _header(stream: BinaryIO) -> _Header:
    """Names, in lower case, to values; leaves the stream where the voxels of an .mha begin."""
    header: _Header = {}
    taken = 0
    while "elementdatafile" not in header:
        line = stream.readline(MAX_HEADER_BYTES)
        taken += len(line)
        if not line:
            raise VolumeError("its header is cut short: there is no ElementDataFile")
        if taken > MAX_HEADER_BYTES:
            raise VolumeError(f"its header is longer than {MAX_HEADER_BYTES:,} bytes: the file is damaged")
        name, equals, value = line.decode("utf-8", "surrogateescape").partition("=")
        if not equals:
            if name.strip():
                raise VolumeError("its header has a line without '=': the file is damaged")
            continue
        header[name.strip().lower()] = value.strip()
    return header


def _grid(header: _Header) -> tuple[tuple[int, int, int], NDArray[np.float64], list[str]]:
    axes = _whole(header, "ndims", 3)
    if not 1 <= axes <= MAX_AXES:
        raise VolumeError(f"its header states {axes} axes: the file is damaged")
    if _whole(header, "elementnumberofchannels", 1) != 1:
        raise VolumeError(
            f"it holds {header['elementnumberofchannels']} values per voxel; one is needed: split it"
        )
    sides = [int(side) for side in _numbers(header, "dimsize", axes)]
    if axes > 3 and math.prod(sides[3:]) != 1:
        raise VolumeError(f"it holds {math.prod(sides[3:])} volumes; one is needed: split it, one a file")
    return check_shape(sides[:3]), *_affine(header, axes)


def _affine(header: _Header, axes: int) -> tuple[NDArray[np.float64], list[str]]:
    notes = []
    spacing = _first(header, ("elementspacing", "elementsize"), axes)
    if spacing is None:
        spacing = np.ones(axes)
        notes.append("it states no spacing; 1 mm was taken")
    matrix = _first(header, ("transformmatrix", "orientation", "rotation"), axes * axes)
    if matrix is None:
        matrix = np.eye(axes)
        notes.append("it states no TransformMatrix; its axes were taken to run to the left, back and head")
    origin = _first(header, ("offset", "origin", "position"), axes)
    if origin is None:
        origin = np.zeros(axes)
        notes.append("it states no Offset; its first voxel was put at 0, 0, 0")
    if spacing.min() <= 0:
        raise VolumeError(f"its spacing is {' '.join(f'{one:g}' for one in spacing)}; it must be above 0")
    with np.errstate(over="ignore"):  # what is too large becomes inf, and is refused as such
        steps = matrix.reshape(axes, axes).T[:3, :3] * spacing[:3]
    return check_affine(LPS_TO_RAS @ from_axes(steps, origin[:3])), notes


def _voxels(stream: BinaryIO, path: Path, header: _Header, shape: tuple[int, int, int]) -> NDArray[Any]:
    if header.get("binarydata", "True").lower() in ("false", "0"):
        raise VolumeError("its voxels are stored as text; store it with BinaryData = True")
    name = header.get("elementtype", "").upper()
    if name not in _TYPES:
        raise VolumeError(f"its ElementType is {name!r}; one of {', '.join(_TYPES)} is needed")
    big = header.get("elementbyteordermsb", header.get("binarydatabyteordermsb", "False"))
    dtype = np.dtype(_TYPES[name]).newbyteorder(">" if big.lower() in ("true", "1") else "<")
    packed = header.get("compresseddata", "False").lower() in ("true", "1")
    wanted, size = math.prod(shape) * dtype.itemsize, path.stat().st_size
    check_stored(wanted, size, packed=packed)
    skip = _whole(header, "headersize", 0)
    if skip == -1 and not packed:  # the voxels end the file
        stream.seek(size - wanted)
    elif skip > 0:
        stream.seek(skip)
    read = unpack.deflated if packed else unpack.stored
    voxels: NDArray[Any] = read(stream, wanted).view(dtype).reshape(shape, order="F")
    return plain(voxels)


def _first(header: _Header, names: tuple[str, ...], count: int) -> NDArray[np.float64] | None:
    return next((_numbers(header, name, count) for name in names if header.get(name)), None)


def _numbers(header: _Header, name: str, count: int) -> NDArray[np.float64]:
    text = header.get(name, "")
    try:
        found = np.array([float(part) for part in text.replace(",", " ").split()])
    except ValueError:
        found = np.empty(0)
    if len(found) != count or not np.isfinite(found).all():
        raise VolumeError(f"its header needs {count} numbers in {name!r}, not {text[:80]!r}")
    return found


def _whole(header: _Header, name: str, default: int) -> int:
    text = header.get(name)
    try:
        return default if text is None else int(text)
    except ValueError as error:
        raise VolumeError(f"its header needs a whole number in {name!r}, not {text!r:.80}") from error
