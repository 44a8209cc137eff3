"""A grid of dies in an .npy file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from pipelines.wafer.data import grid
from pipelines.wafer.data.record import WaferFileError
from pipelines.wafer.generate import files

from ..reader import Reader
from ._arrays import WORDS
from ._wafers import dies, refused


def _seeds() -> list[bytes]:
    status = dies().status
    return [files.npy(status), files.npy(np.asfortranarray(status).astype(">i4")), files.npy(status == 2)]


def _read(data: bytes, folder: Path) -> list[str]:
    return refused(grid.read(data, folder / "a.npy"))


READER: Final = Reader(_seeds, _read, (WaferFileError,), WORDS)
