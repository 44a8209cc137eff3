"""Maps in .npz files, in each of the three layouts."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

from pipelines.wafer.data import arrays
from pipelines.wafer.data.record import WaferFileError
from pipelines.wafer.generate import files

from ..containers import pack, unpack
from ..reader import Reader
from ._arrays import WORDS
from ._wafers import defects, dies, refused


def _seeds() -> list[bytes]:
    one = dies()
    made = [
        files.wm811k([one, one], ["Donut", "none"]),
        files.coordinates([defects(0), defects(1)]),
        files.npz(W1=one.status, W2=one.status),
    ]
    return [*(pack(unpack(data)) for data in made), pack(unpack(made[0]), zipfile.ZIP_DEFLATED)]


def _read(data: bytes, folder: Path) -> list[str]:
    return refused(arrays.read(data, folder / "a.npz"))


READER: Final = Reader(_seeds, _read, (WaferFileError,), WORDS)
