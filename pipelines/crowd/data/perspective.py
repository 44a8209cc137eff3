"""How large people look where in the image, as some data sets of one fixed camera state it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .mat import read_mat
from .record import CrowdError

NAMES: Final = ("pMapN", "pMap", "pmap")


def read_perspective(path: str | Path) -> NDArray[np.float32]:
    """The perspective map of a .mat file, float32 (H, W), as it is stored.

    Beijing-BRT's `pMapN` is a weight without a unit: large where people look small, so that a person's pixels
    weighed by it are about equally many everywhere. Raises CrowdError with the path and the reason.
    """
    path = Path(path)
    try:
        found = np.asarray(next(iter(read_mat(path, *NAMES).values())))
        if found.ndim != 2 or found.dtype.kind not in "uif" or not found.size:
            raise CrowdError(f"its map has the shape {found.shape}; a matrix of numbers is needed")
        if not np.isfinite(found).all() or found.min() <= 0:
            raise CrowdError("its map holds values that are not above 0")
    except CrowdError as error:
        raise CrowdError(f"{path}: {error}") from error
    return found.astype(np.float32)
