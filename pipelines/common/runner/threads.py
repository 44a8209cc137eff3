"""How many threads a process may use."""

from __future__ import annotations

import os
from typing import Final

# Read by OpenMP, the libraries of linear algebra and OpenCV when they are loaded.
VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)


def one_thread() -> None:
    """Let libraries that this process loads from now on use one thread: there is a process for each core."""
    os.environ |= dict.fromkeys(VARIABLES, "1")
