"""Arrays that are read from the disk as they are needed, any number of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def mapped(path: Path) -> NDArray[Any]:
    """The array of a `.npy` file, read-only, mapped into memory.

    numpy keeps the file of a map open, and systems allow 256 to 1,024 open files: too few for the arrays of
    a large data set. torch closes the file.
    """
    head = np.load(path, mmap_mode="r")
    whole = torch.from_file(str(path), shared=False, size=path.stat().st_size, dtype=torch.uint8).numpy()
    order: Any = "F" if np.isfortran(head) else "C"
    array: NDArray[Any] = whole[head.offset :].view(head.dtype).reshape(head.shape, order=order)
    array.flags.writeable = False
    return array
