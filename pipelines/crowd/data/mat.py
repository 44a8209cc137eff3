"""MATLAB files of versions 4 to 7, as far as data sets of crowds use them: numbers, cells and structures.

Nothing in such a file is run when it is read.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from . import limits
from .record import CrowdError, Points

_HEADER_BYTES: Final = 128
_COMPRESSED: Final = 15  # miCOMPRESSED of the MAT-file format
_HDF5: Final = b"\x89HDF"


def read_mat(path: Path, *names: str) -> dict[str, Any]:
    """The variables of a .mat file that are called one of `names`, as scipy gives them.

    Raises CrowdError if the file is damaged, too large once unpacked, or has none of them.
    """
    content = limits.read_bytes(path, limits.MAX_LABEL_BYTES)
    if _HDF5 in content[:1024]:
        raise CrowdError("it is a MATLAB file of version 7.3, which is not read: store it with -v7")
    try:
        _check_unpacked_size(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that come twice
            found = loadmat(io.BytesIO(content), variable_names=list(names), appendmat=False)
    except MemoryError as error:
        raise CrowdError("the MATLAB file asks for more memory than there is") from error
    except CrowdError:
        raise
    except Exception as error:  # scipy's parser ends on damaged files with whatever it runs into
        raise CrowdError(f"it is no MATLAB file, or it is cut short or damaged ({error})") from error
    wanted = {name: found[name] for name in names if name in found}
    if not wanted:
        raise CrowdError(f"the MATLAB file holds no {' or '.join(names)}")
    return wanted


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


def _check_unpacked_size(content: bytes) -> None:
    """CrowdError if the packed variables of a version 7 file unpack to more than labels can need."""
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER_BYTES])
    if order is None:  # version 4, where nothing is packed
        return
    place, unpacked = _HEADER_BYTES, 0
    while place + 8 <= len(content):
        kind, size = struct.unpack(f"{order}II", content[place : place + 8])
        if kind == _COMPRESSED:
            left = limits.MAX_LABEL_BYTES - unpacked
            unpacked += len(zlib.decompressobj().decompress(content[place + 8 : place + 8 + size], left + 1))
            if unpacked > limits.MAX_LABEL_BYTES:
                raise CrowdError(f"it unpacks to more than {limits.MAX_LABEL_BYTES:,} bytes")
        place += 8 + size
