"""MATLAB's .mat files of heads and perspectives, of versions 4 to 7, within limits.

Read here from the published layout ("MAT-File Format", MathWorks): other readers trust the numbers in a file,
and a damaged one can end the process.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from . import limits
from .record import CrowdError, Points

MAX_DEPTH: Final = 16  # of cells and structures within each other
MAX_FIELDS: Final = 1_000
_HEADER_BYTES: Final = 128
_MATRIX, _COMPRESSED = 14, 15  # kinds of data elements
_CELL, _STRUCT, _TEXT = 1, 2, 4  # classes of arrays; 6 to 15 are numbers
_NUMBERS: Final = range(6, 16)
_COMPLEX: Final = 0x0800
_TYPES: Final = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TYPES_4: Final = ("f8", "f4", "i4", "i2", "u2", "u1")
_MARK_4, _MAX_NAME_4 = 5_000, 1_000  # the first number of a matrix of version 4 is below; bytes of its name
_HDF5: Final = b"\x89HDF"


class _Damaged(Exception):
    """What the file says does not fit what it holds."""


@dataclass(frozen=True, slots=True)
class _Element:
    """A data element. kind: of the format. content: without its padding. end: where the next one begins."""

    kind: int
    content: memoryview
    end: int


def read_mat(path: Path, *names: str) -> dict[str, Any]:
    """The variables of a .mat file that are called one of `names`.

    Numbers are arrays of their shape, cells are arrays of objects, structures are arrays of objects with a
    field for each of theirs; texts are empty arrays. Raises CrowdError if the file is damaged, too large once
    unpacked, or has none of them.
    """
    content = limits.read_bytes(path, limits.MAX_LABEL_BYTES)
    if _HDF5 in content[:1024]:
        raise CrowdError("it is a MATLAB file of version 7.3, which is not read: store it with -v7")
    try:
        order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER_BYTES])
        found = _version_4(content, names) if order is None else _version_5(content, order, names)
    except (_Damaged, struct.error, zlib.error) as error:
        raise CrowdError(f"it is no MATLAB file, or it is cut short or damaged ({error})") from error
    if not found:
        raise CrowdError(f"the MATLAB file holds no {' or '.join(names)}")
    return {name: found[name] for name in names if name in found}


def as_points(found: Any, what: str) -> Points:
    """A MATLAB matrix as points (N, 2); its first two columns are x and y. CrowdError if it is none."""
    matrix: NDArray[Any] = np.asarray(found)
    if matrix.dtype.kind not in "uif":
        raise CrowdError(f"{what} does not hold numbers")
    if matrix.size == 0:
        return np.empty((0, 2))
    if matrix.ndim != 2 or matrix.shape[1] < 2:
        raise CrowdError(f"{what} has the shape {matrix.shape}; a row of x and y per head is needed")
    return matrix[:, :2].astype(np.float64)


def _version_5(content: bytes, order: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Wanted variables of versions 5 to 7, where each may be packed."""
    found: dict[str, Any] = {}
    place, left = _HEADER_BYTES, limits.MAX_LABEL_BYTES
    whole = memoryview(content)
    while place + 8 <= len(whole):
        element = _element(whole, place, order)
        place = element.end
        if element.kind == _COMPRESSED:
            unpacked = zlib.decompressobj().decompress(element.content, left + 1)
            left -= len(unpacked)
            if left < 0:
                raise CrowdError(f"it unpacks to more than {limits.MAX_LABEL_BYTES:,} bytes")
            element = _element(memoryview(unpacked), 0, order)
        if element.kind == _MATRIX and element.content:
            name = _name(element.content, order)
            if name in names and name not in found:
                found[name] = _array(element.content, order, MAX_DEPTH)
    return found


def _element(data: memoryview, place: int, order: str) -> _Element:
    kind, size = struct.unpack_from(f"{order}II", data, place)
    start = place + 8
    if kind >> 16:  # up to four bytes, beside the size
        kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
        if size > 4:
            raise _Damaged("a small element has more than 4 bytes")
        return _Element(kind, data[start : start + size], place + 8)
    if size > len(data) - start:
        raise _Damaged(f"an element of {size:,} bytes lies in {len(data) - start:,}")
    padding = 0 if kind == _COMPRESSED else -size % 8
    return _Element(kind, data[start : start + size], start + size + padding)


def _elements(data: memoryview, order: str) -> Iterator[_Element]:
    place = 0
    while place + 8 <= len(data):
        element = _element(data, place, order)
        place = element.end
        yield element


def _head(elements: Iterator[_Element], order: str) -> tuple[int, tuple[int, ...], str]:
    """Flags, shape and name, which begin every array."""
    try:
        flags, shape, name = (next(elements).content for _ in range(3))
    except RuntimeError as error:  # of a generator that ends too soon
        raise _Damaged("an array is cut short") from error
    if len(flags) < 4 or len(shape) % 4 or not 8 <= len(shape) <= 128:
        raise _Damaged("an array has no shape")
    sides = struct.unpack(f"{order}{len(shape) // 4}i", shape)
    if min(sides) < 0:
        raise _Damaged(f"an array has the shape {sides}")
    return int(struct.unpack_from(f"{order}I", flags)[0]), sides, bytes(name).decode("latin-1")


def _name(data: memoryview, order: str) -> str:
    return _head(_elements(data, order), order)[2]


def _array(data: memoryview, order: str, depth: int) -> NDArray[Any]:
    """The content of a matrix element."""
    if not data:
        return np.empty((0, 0))
    if not depth:
        raise _Damaged(f"cells lie more than {MAX_DEPTH} deep in each other")
    elements = _elements(data, order)
    flags, shape, _ = _head(elements, order)
    kind = flags & 0xFF
    if kind == _TEXT:
        return np.empty((0, 0), np.str_)
    if kind in _NUMBERS:
        return _numbers(elements, order, shape, bool(flags & _COMPLEX))
    fields = _fields(elements, order) if kind == _STRUCT else None
    if kind not in (_CELL, _STRUCT):
        raise _Damaged(f"an array is of the kind {kind}, which is not read")
    wanted = math.prod(shape) * (1 if fields is None else len(fields))
    if wanted * 8 > len(data):  # the least that an element takes
        raise _Damaged(f"{wanted:,} cells lie in {len(data):,} bytes")
    parts = [_array(one.content, order, depth - 1) for one in elements if one.kind == _MATRIX]
    if len(parts) != wanted:
        raise _Damaged(f"{len(parts):,} of {wanted:,} cells are there")
    if fields is None:
        return _boxed(parts, shape)
    made = np.empty(shape, [(name, object) for name in fields])
    for number, name in enumerate(fields):
        made[name] = _boxed(parts[number :: len(fields)], shape)
    return made


def _numbers(elements: Iterator[_Element], order: str, shape: tuple[int, ...], complex: bool) -> NDArray[Any]:
    element = next(elements, None)
    if element is None or element.kind not in _TYPES or complex:
        raise _Damaged("an array holds no real numbers")
    dtype = np.dtype(order + _TYPES[element.kind])
    if math.prod(shape) * dtype.itemsize != len(element.content):
        raise _Damaged(f"an array of the shape {shape} has {len(element.content):,} bytes of {dtype}")
    return np.frombuffer(element.content, dtype).reshape(shape, order="F")


def _fields(elements: Iterator[_Element], order: str) -> list[str]:
    """The names of a structure's fields, of which each takes the same number of bytes."""
    width, names = (next(elements, None) for _ in range(2))
    if width is None or names is None or len(width.content) != 4:
        raise _Damaged("a structure has no fields")
    size = int(struct.unpack(f"{order}i", width.content)[0])
    text = bytes(names.content)
    if size < 1 or len(text) // size > MAX_FIELDS:
        raise _Damaged("a structure has no usable fields")
    found = [text[at : at + size].split(b"\0")[0].decode("latin-1") for at in range(0, len(text), size)]
    if not found or len(set(found)) < len(found) or not all(found):
        raise _Damaged("a structure has fields without a name, or two of one name")
    return found


def _boxed(parts: list[NDArray[Any]], shape: tuple[int, ...]) -> NDArray[Any]:
    """An array (shape) of arrays, which numpy would else join."""
    made = np.empty(len(parts), object)
    for number, part in enumerate(parts):
        made[number] = part
    return made.reshape(shape, order="F")


def _version_4(content: bytes, names: tuple[str, ...]) -> dict[str, Any]:
    """Wanted variables of version 4: matrices of real numbers one after the other."""
    found: dict[str, Any] = {}
    place = 0
    order = "<" if int.from_bytes(content[:4], "little") < _MARK_4 else ">"
    while place < len(content):
        kind, rows, columns, imaginary, length = struct.unpack_from(f"{order}5i", content, place)
        digits = kind // 10 % 10
        if (
            not 0 <= kind < 5_000
            or digits >= len(_TYPES_4)
            or min(rows, columns) < 0
            or not 0 < length < 1_000
        ):
            raise _Damaged("it has none of the marks of a .mat file")
        name = content[place + 20 : place + 20 + length].split(b"\0")[0].decode("latin-1")
        dtype = np.dtype(order + _TYPES_4[digits])
        start, size = place + 20 + length, rows * columns * dtype.itemsize
        place = start + size * (2 if imaginary else 1)
        if place > len(content):
            raise _Damaged(f"a matrix of {rows} x {columns} numbers lies in {len(content) - start:,} bytes")
        if name in names and not kind % 10 and not imaginary:
            flat = np.frombuffer(content, dtype, rows * columns, start)
            found[name] = flat.reshape((rows, columns), order="F")
    return found
