"""The bins of a distribution over sizes in mm; their edges grow by a constant factor. Free of torch."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SMALLEST_MM: Final = 0.5
LARGEST_MM: Final = 40.0
BINS: Final = 64


def bin_edges() -> NDArray[np.float32]:
    """Edges in mm: float32 (BINS + 1,)."""
    return np.geomspace(SMALLEST_MM, LARGEST_MM, BINS + 1).astype(np.float32)


def bin_middles() -> NDArray[np.float32]:
    """What each bin stands for, in mm: float32 (BINS,), the geometric mean of its edges."""
    ends = bin_edges()
    return np.asarray(np.sqrt(ends[1:] * ends[:-1]))
