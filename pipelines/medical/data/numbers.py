"""From the numbers a file stores to the numbers they mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .record import VolumeError


def plain(array: NDArray[Any]) -> NDArray[Any]:
    """The array in this machine's byte order, whole numbers as they are and others as float32.

    Raises VolumeError for values that are not single real numbers, such as colours.
    """
    kind = array.dtype.kind
    if kind in "iu":
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if kind == "f":
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, and is refused as such
            return array.astype(np.float32, copy=False)
    if kind == "b":
        return array.astype(np.uint8)
    raise VolumeError("its voxels are colours or complex numbers; one real number per voxel is needed")


def rescaled(array: NDArray[Any], slope: float, intercept: float) -> NDArray[Any]:
    """`array * slope + intercept`: (I, J, K), in whole numbers if slope and intercept are, else float32.

    Raises VolumeError if slope or intercept is no finite number.
    """
    if not (np.isfinite(slope) and np.isfinite(intercept)):
        raise VolumeError(f"it scales its values by {slope} and adds {intercept}: the file is damaged")
    array = plain(array)
    if slope == 1 and intercept == 0:
        return array
    dtype = _whole_type(array, slope, intercept) or np.dtype(np.float32)
    wide = np.int64 if dtype.kind == "i" else np.float64
    found: NDArray[Any] = np.empty(array.shape, dtype, order="F" if array.flags.f_contiguous else "C")
    with np.errstate(over="ignore", invalid="ignore"):  # invalid: NaNs that signal, which stay NaN
        for number in range(array.shape[-1]):  # by slices: eight bytes a voxel for all at once are too many
            found[..., number] = array[..., number].astype(wide) * wide(slope) + wide(intercept)
    return found


def _whole_type(array: NDArray[Any], slope: float, intercept: float) -> np.dtype[Any] | None:
    """The whole-number type that holds all results, None if they are not whole."""
    if array.dtype.kind not in "iu" or not (slope.is_integer() and intercept.is_integer()):
        return None
    ends = [int(end) * int(slope) + int(intercept) for end in (array.min(), array.max())]
    for dtype in (np.dtype(np.int16), np.dtype(np.int32)):
        if np.iinfo(dtype).min <= min(ends) and max(ends) <= np.iinfo(dtype).max:
            return dtype
    return None
