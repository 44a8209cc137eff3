"""The three classes of size, and the two thresholds between them that decide treatment and surveillance."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

SMALL_MM: Final = 5.0
LARGE_MM: Final = 10.0
CLASSES: Final = ("<=5 mm", "6-9 mm", ">=10 mm")
UNKNOWN: Final = -1


def size_class(mm: ArrayLike) -> NDArray[np.int64]:
    """The class of each size in mm, as int64 of the same shape: 0 up to 5 mm, 1 between, 2 from 10 mm.

    Sizes are not rounded first: 5.2 mm is above 5, so it is in the middle class, which is called 6-9 mm
    because sizes are mostly given in whole millimetres. Raises ValueError for a size that is not finite.
    """
    sizes = np.asarray(mm, np.float64)
    if not np.isfinite(sizes).all():
        raise ValueError("sizes must be finite")
    return (sizes > SMALL_MM).astype(np.int64) + (sizes >= LARGE_MM)


def known_class(mm: ArrayLike, censored: ArrayLike) -> NDArray[np.int64]:
    """As `size_class`; UNKNOWN where the size is a lower bound (censored, bool) below 10 mm."""
    found = size_class(mm)
    return np.where(np.asarray(censored, bool) & (found < 2), UNKNOWN, found)


def above(mm: ArrayLike, threshold_mm: float) -> NDArray[np.bool_]:
    """Which sizes count as large at a threshold: above 5 mm, and from 10 mm on, as the classes have it."""
    sizes = np.asarray(mm, np.float64)
    return sizes > threshold_mm if threshold_mm == SMALL_MM else sizes >= threshold_mm
