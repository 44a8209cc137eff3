"""NumPy's .npy and .npz, read without trusting what the headers say."""

from __future__ import annotations

import io
import math
import sys
import tokenize
import warnings
import zipfile
import zlib
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from .record import WaferFileError

NPY_MAGIC: Final = b"\x93NUMPY"
ZIP_MAGIC: Final = b"PK\x03\x04"
MAX_MEMBERS: Final = 4096
_ENCRYPTED: Final = 0x1
_KINDS: Final = "biufUS"  # boolean, integers, floats, text; never objects, which would need pickle


def npy_array(data: bytes, name: str = "the array") -> NDArray[Any]:
    """The array in the bytes of an .npy file. Nothing is allocated on the word of the header."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise WaferFileError(f"{name} is stored in .npy version {version}, which is not read")
        read_header = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            shape, fortran, dtype = read_header(stream)
        shape = tuple(map(int, shape))  # a header may have True in it
    except WaferFileError:
        raise
    except (ValueError, SyntaxError, TypeError, tokenize.TokenError, RecursionError, MemoryError) as error:
        # NumPy's parser of the header raises each of these on one kind of damage or another.
        raise WaferFileError(f"the header of {name} is damaged") from error
    if dtype.kind not in _KINDS or dtype.itemsize == 0:
        raise WaferFileError(f"{name} holds {dtype}, and only numbers, booleans and text are read")
    count = math.prod(shape)
    start = stream.tell()
    if min(shape, default=0) < 0 or count * dtype.itemsize > len(data) - start:
        raise WaferFileError(
            f"the header of {name} promises {shape} values of {dtype}, which is more than the file holds"
        )
    flat = np.frombuffer(data, dtype, count, start)
    try:
        return flat.reshape(shape, order="F" if fortran else "C")
    except ValueError as error:  # a side of 0 beside sides that are too long for any array
        raise WaferFileError(f"the header of {name} promises {shape}, which no array has") from error


class Npz:
    """The arrays of an .npz file, each read when it is asked for.

    Args:
        stream: an open, seekable file.
        limit: bytes that all arrays together may take when unpacked.
        advice: what to do about arrays that take more.

    Raises:
        WaferFileError: no zip file, encrypted, too many or too large members.
    """

    def __init__(self, stream: BinaryIO, limit: int, *, advice: str = "") -> None:
        try:
            self._zip = zipfile.ZipFile(stream)
        except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError) as error:
            raise WaferFileError("the .npz file is cut short or damaged") from error
        members = self._zip.infolist()
        if len(members) > MAX_MEMBERS:
            raise WaferFileError(f"the .npz file has {len(members)} members; at most {MAX_MEMBERS} are read")
        size = sum(member.file_size for member in members)
        if size > limit:
            text = f"the arrays take {size:,} bytes when unpacked; at most {limit:,} are read"
            raise WaferFileError(f"{text}: {advice}" if advice else text)
        self._members = {m.filename.removesuffix(".npy"): m for m in members if m.filename.endswith(".npy")}

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def array(self, name: str) -> NDArray[Any]:
        """The array of this name. Raises WaferFileError where it is missing or damaged."""
        if name not in self._members:
            raise WaferFileError(
                f"the array '{name}' is missing; the file has {', '.join(self.names) or 'none'}"
            )
        member = self._members[name]
        if member.flag_bits & _ENCRYPTED or member.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise WaferFileError(f"the array '{name}' is encrypted or compressed in a way that is not read")
        try:
            # Unpacking stops at the size in the directory, so a member cannot grow beyond the limit.
            data = self._zip.read(member)
        except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError, zlib.error) as error:
            raise WaferFileError(f"the array '{name}' is cut short or damaged") from error
        return npy_array(data, f"the array '{name}'")

    def stored_integers(self, name: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
        """An array of integers of this shape (None stands for any length), in its stored type."""
        array = self._shaped(name, shape)
        if array.dtype.kind not in "iu":
            raise WaferFileError(f"the array '{name}' must hold integers, not {array.dtype}")
        return array

    def integers(self, name: str, shape: tuple[int | None, ...]) -> NDArray[np.int64]:
        """The same as int64."""
        return self.stored_integers(name, shape).astype(np.int64)

    def floats(self, name: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
        """An array of floating-point numbers of this shape, where None stands for any length."""
        array = self._shaped(name, shape)
        if array.dtype.kind not in "iuf":
            raise WaferFileError(f"the array '{name}' must hold numbers, not {array.dtype}")
        return array

    def texts(self, name: str, count: int) -> list[str]:
        """A list of `count` texts, such as labels or lots."""
        array = self._shaped(name, (count,))
        if array.dtype.kind not in "US":
            raise WaferFileError(f"the array '{name}' must hold text, not {array.dtype}")
        if array.dtype.kind == "U" and array.nbytes:
            codes = np.dtype(np.uint32).newbyteorder(array.dtype.byteorder)
            if np.ascontiguousarray(array).view(codes).max() > sys.maxunicode:
                raise WaferFileError(f"the array '{name}' holds characters that do not exist: it is damaged")
        return [str(text) for text in array.astype(np.str_).tolist()]

    def _shaped(self, name: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
        array = self.array(name)
        fits = array.ndim == len(shape) and all(
            n in (None, m) for n, m in zip(shape, array.shape, strict=True)
        )
        if not fits:
            wanted = ", ".join("n" if n is None else str(n) for n in shape)
            raise WaferFileError(f"the array '{name}' must have the shape ({wanted}), not {array.shape}")
        return array
