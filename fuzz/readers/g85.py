"""SEMI G85."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipelines.wafer.data import g85
from pipelines.wafer.data.record import WaferFileError
from pipelines.wafer.generate import sort_maps

from ..reader import Reader
from . import _xml
from ._wafers import NAMES, dies, refused

WORDS: Final = (
    *(b"Map", b"Maps", b"Device", b"Bin", b"Data", b"Row", b"BinCode", b"BinQuality", b"BinType"),
    *(b"Ascii", b"Decimal", b"HexaDecimal", b"Integer2", b"NullBin", b"Rows", b"Columns", b"Orientation"),
    *(b"WaferSize", b"DeviceSizeX", b"DeviceSizeY", b"Pass", b"Fail", b"CreateDate", b"semi:Map"),
    *_xml.WORDS,
)


def _seeds() -> list[bytes]:
    one = sort_maps.g85(NAMES, dies())
    return [one, sort_maps.g85(NAMES, dies(), "right"), one.replace(b'"Ascii"', b'"Decimal"')]


def _read(data: bytes, folder: Path) -> list[str]:
    return refused(g85.read(data, folder / "a.xml"))


READER: Final = Reader(_seeds, _read, (WaferFileError,), WORDS)
