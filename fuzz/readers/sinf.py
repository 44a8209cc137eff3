"""SINF."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipelines.wafer.data import sinf
from pipelines.wafer.data.record import WaferFileError
from pipelines.wafer.generate import sort_maps

from ..reader import Reader
from ._wafers import NAMES, dies, refused

WORDS: Final = (
    *(b"DEVICE:", b"LOT:", b"WAFER:", b"FNLOC:", b"ROWCT:", b"COLCT:", b"BCEQU:", b"DUTMS:", b"XDIES:"),
    *(b"YDIES:", b"RowData:", b"mm", b"mil", b"__", b"01", b"@@", b"180", b"DATE:", b"SLOT:"),
)


def _seeds() -> list[bytes]:
    one, other = sort_maps.sinf(NAMES, dies()), sort_maps.sinf(NAMES, dies(), "left")
    return [one, other, one + other]


def _read(data: bytes, folder: Path) -> list[str]:
    return refused(sinf.read(data, folder / "a.sinf"))


READER: Final = Reader(_seeds, _read, (WaferFileError,), WORDS)
