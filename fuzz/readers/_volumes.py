"""Small volumes for the seeds of the volume readers, and how what they read is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from pipelines.medical.data.files import read_grid, read_volume

ARRAY: Final = (np.arange(5 * 4 * 3).reshape(5, 4, 3) * 7 - 100).astype(np.int16)
AFFINE: Final = np.array([[-0.8, 0, 0.1, 10], [0, -0.8, 0, 20], [0.05, 0, 2.5, -30], [0, 0, 0, 1.0]])


def looked_at(path: Path) -> list[str]:
    """Read the volume of a file, and its grid from the header alone; the two must agree."""
    volume = read_volume(path)
    assert volume.array.ndim == 3 and np.isfinite(volume.affine).all() and volume.voxel_ml > 0
    grid = read_grid(path)
    assert grid is None or (grid[0] == volume.shape and np.allclose(grid[1], volume.affine))
    return []
