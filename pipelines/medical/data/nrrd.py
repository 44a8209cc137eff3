"""NRRD, attached (.nrrd) or as a header (.nhdr) with its voxels in another file of the same folder.

The header is decoded by pynrrd; the voxels are read here, within the limits of `limits`.
"""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from nrrd import NRRDError, read_header
from numpy.typing import NDArray

from . import unpack
from .beside import file_beside
from .limits import MAX_VOXELS, check_shape, check_stored, check_voxels
from .names import case_name
from .numbers import plain
from .place import check_affine, from_axes
from .record import Volume, VolumeError

MAX_HEADER_BYTES: Final = 2**20
_TYPES: Final = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_ENCODINGS: Final = {
    "raw": unpack.stored,
    "gzip": unpack.deflated,
    "gz": unpack.deflated,
    "bzip2": unpack.bzipped,
    "bz2": unpack.bzipped,
}
_SPACES: Final = {  # letters: where each axis of space points
    "right-anterior-superior": "RAS",
    "left-anterior-superior": "LAS",
    "left-posterior-superior": "LPS",
}
_UNITS_MM: Final = {"m": 1000.0, "cm": 10.0, "mm": 1.0, "um": 0.001, "µm": 0.001}
_Header = dict[str, Any]


def looks_like(head: bytes) -> bool:
    """Whether a file that begins with these bytes is NRRD."""
    return head.startswith(b"NRRD000")


def read(path: Path, *, max_voxels: int = MAX_VOXELS) -> Volume:
    """The volume of a NRRD file.

    Raises:
        OSError: it cannot be opened.
        VolumeError: it is damaged, places its voxels nowhere, is not one 3D volume of real numbers, or has
            more than `max_voxels`.
    """
    with path.open("rb") as stream:
        header, start = _header(stream)
        shape, affine, notes = _grid(header)
        check_voxels(shape, max_voxels)
        attached = _data_file(header) is None
        data_path = path if attached else file_beside(path, str(_data_file(header)))
        with data_path.open("rb") as data:
            data.seek(start if attached else 0)
            array = _voxels(data, data_path, header, shape)
    return Volume(array, affine, path, case_name(path), header={"format": "nrrd"}, notes=tuple(notes))


def read_grid(path: Path) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Shape and affine of a file, from its header alone. Raises as `read` does."""
    with path.open("rb") as stream:
        shape, affine, _ = _grid(_header(stream)[0])
    return shape, affine


def _header(stream: BinaryIO) -> tuple[_Header, int]:
    """The decoded header, and the byte where attached voxels begin."""
    text = b""
    while not text.endswith((b"\n\n", b"\n\r\n")):
        line = stream.readline(MAX_HEADER_BYTES)
        text += line
        if len(text) > MAX_HEADER_BYTES:
            raise VolumeError(f"its header is longer than {MAX_HEADER_BYTES:,} bytes: the file is damaged")
        if not line:  # a header with its voxels elsewhere may end with the file
            break
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header: _Header = dict(read_header(io.BytesIO(text)))
    except (NRRDError, ValueError, TypeError, IndexError, OverflowError, StopIteration) as error:
        raise VolumeError(f"its NRRD header is damaged: {error}") from error
    for name in ("dimension", "type", "encoding", "sizes"):
        if name not in header:
            raise VolumeError(f"its NRRD header lacks the field {name!r}: the file is damaged")
    for name in ("sizes", "space directions"):
        if name in header and len(header[name]) != header["dimension"]:
            raise VolumeError(f"its header has {len(header[name])} {name} for {header['dimension']} axes")
    return header, len(text)


def _data_file(header: _Header) -> str | None:
    found = header.get("data file", header.get("datafile"))
    return None if found is None else str(found)


def _grid(header: _Header) -> tuple[tuple[int, int, int], NDArray[np.float64], list[str]]:
    sides = [int(side) for side in header["sizes"]]
    spatial = _spatial_axes(header, len(sides))
    more = math.prod(side for axis, side in enumerate(sides) if axis not in spatial)
    if more != 1:
        raise VolumeError(
            f"it holds {more} values per voxel or volumes ({' x '.join(map(str, sides))}); one is needed"
        )
    shape = check_shape([sides[axis] for axis in spatial])
    affine, notes = _affine(header, spatial)
    return shape, affine, notes


def _spatial_axes(header: _Header, dimension: int) -> list[int]:
    """The axes that lie in space, by their directions, else their kinds, else those longer than one."""
    directions, kinds = header.get("space directions"), header.get("kinds", [])
    if directions is not None and len(directions) == dimension:
        return [axis for axis in range(dimension) if _is_direction(directions[axis])]
    if len(kinds) == dimension and any(kind in ("domain", "space") for kind in kinds):
        return [axis for axis in range(dimension) if kinds[axis] in ("domain", "space")]
    axes = list(range(dimension))
    while len(axes) > 3 and int(header["sizes"][axes[-1]]) == 1:
        axes.pop()
    return axes


def _is_direction(row: Any) -> bool:
    return row is not None and not bool(np.isnan(np.asarray(row, float)).all())


def _affine(header: _Header, spatial: list[int]) -> tuple[NDArray[np.float64], list[str]]:
    notes = []
    space = str(header.get("space", "")).lower()
    letters = _SPACES.get(space, space.upper())
    if letters not in _SPACES.values():
        letters = "LPS"
        said = f"its space is {space!r}" if space else "it names no space"
        notes.append(f"{said}, which does not tell left from right; LPS was taken, as ITK does")
    directions = header.get("space directions")
    if directions is not None:
        if np.shape(directions)[1:] != (3,):
            raise VolumeError(f"its space has {np.shape(directions)[-1]} axes; 3 are needed")
        axes = np.array([directions[axis] for axis in spatial], float).T
    else:
        axes = np.diag(_spacings(header, spatial))
        notes.append("it has spacings and no directions; its axes were taken to run along those of its space")
    origin = np.asarray(header.get("space origin", np.zeros(3)), float)
    if origin.shape != (3,):
        raise VolumeError(f"its space origin has {origin.size} numbers; 3 are needed")
    scale = _scale(header, notes)
    to_ras = np.diag([*(1.0 if have == want else -1.0 for have, want in zip(letters, "RAS", strict=True)), 1])
    return check_affine(to_ras @ from_axes(axes * scale, origin * scale)), notes


def _spacings(header: _Header, spatial: list[int]) -> NDArray[np.float64]:
    spacings = np.asarray(header.get("spacings", ()), float)
    if len(spacings) != header["dimension"]:
        raise VolumeError(
            "its header has neither space directions nor spacings: the size of a voxel is unknown"
        )
    return np.asarray(np.abs(spacings[spatial]), np.float64)


def _scale(header: _Header, notes: list[str]) -> float:
    units = {str(unit).strip().strip('"') for unit in header.get("space units", ())} - {""}
    if len(units) > 1 or not units <= _UNITS_MM.keys():
        notes.append(f"its space units {', '.join(sorted(units))} are not known; mm were taken")
        return 1.0
    scale = _UNITS_MM[units.pop()] if units else 1.0
    if scale != 1:
        notes.append("its lengths are not in mm and were turned to mm")
    return scale


def _voxels(stream: BinaryIO, path: Path, header: _Header, shape: tuple[int, int, int]) -> NDArray[Any]:
    dtype = _dtype(header)
    unpacker = _ENCODINGS.get(str(header["encoding"]).lower())
    if unpacker is None:
        raise VolumeError(f"its encoding is {header['encoding']!r}; store it as raw or gzip")
    wanted, size = math.prod(shape) * dtype.itemsize, path.stat().st_size
    if unpacker is not unpack.bzipped:  # which packs without a bound
        check_stored(wanted, size, packed=unpacker is unpack.deflated)
    _skip(stream, header, size, wanted, raw=unpacker is unpack.stored)
    voxels: NDArray[Any] = unpacker(stream, wanted).view(dtype).reshape(shape, order="F")
    return plain(voxels)


def _skip(stream: BinaryIO, header: _Header, size: int, wanted: int, *, raw: bool) -> None:
    """Go past what lies before the voxels, as `line skip` and `byte skip` say."""
    lines, skip = (
        int(header.get(f"{unit} skip", header.get(f"{unit}skip", 0)) or 0) for unit in ("line", "byte")
    )
    if lines < 0 or lines > MAX_HEADER_BYTES or skip < -1 or (skip and not raw):
        raise VolumeError("its header skips a part of the data that cannot be skipped: the file is damaged")
    for _ in range(lines):
        stream.readline(MAX_HEADER_BYTES)
    stream.seek(size - wanted if skip == -1 else stream.tell() + skip)


def _dtype(header: _Header) -> np.dtype[Any]:
    name = next((code for code, names in _TYPES.items() if str(header["type"]).lower() in names), None)
    if name is None:
        raise VolumeError(f"its voxels have the unknown type {header['type']!r}")
    dtype = np.dtype(name)
    if dtype.itemsize == 1:
        return dtype
    order = {"little": "<", "big": ">"}.get(str(header.get("endian", "")).lower())
    if order is None:
        raise VolumeError("its header does not say in which order the bytes of a voxel are ('endian')")
    return dtype.newbyteorder(order)  # type: ignore[arg-type]
