"""Small files of every kind that the readers of crowds meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from tests.pipelines.common.media.made import encoded, noise, write_image, write_text

__all__ = ["encoded", "mat", "noise", "shanghaitech", "write_image", "write_text"]


def shanghaitech(path: Path, points: Any, number: int | None = None) -> Path:
    """A label file nested as ShanghaiTech's: a cell with a structure of location and number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = np.asarray(points, np.float64).reshape(-1, 2)
    inner = np.empty((1, 1), dtype=[("location", object), ("number", object)])
    inner[0, 0] = (table, np.array([[len(table) if number is None else number]]))
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = inner
    savemat(path, {"image_info": cell}, do_compression=True)
    return path


def mat(path: Path, **variables: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, variables, do_compression=True)
    return path
