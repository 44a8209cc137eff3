"""Tables of defects and of dies (CSV)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipelines.wafer.data import table
from pipelines.wafer.data.record import WaferFileError
from pipelines.wafer.generate.files import csv_defects, csv_dies

from ..reader import Reader
from ._wafers import NAMES, defects, dies, refused

WORDS: Final = (
    *(b"x_mm", b"y_mm", b"x", b"y", b"X(um)", b"y [nm]", b"lot", b"wafer", b"slot", b"diameter", b"bin"),
    *(b"row", b"col", b"hard_bin", b"die_x", b"die_y", b"pass", b"nan", b"NA", b"", b";", b"\t", b"|"),
    *(b'"', b'""', b"# a comment", b"\xef\xbb\xbf", b"\xff\xfe", b"wafer_size", b"x_furlong", b"y_mil"),
)


def _seeds() -> list[bytes]:
    sixty = csv_defects([defects(0), defects(1)])
    german = b"Los;Wafer;x_mm;y_mm\nA;1;1,5;-2,25\nA;2;3;4\n"
    return [sixty, csv_dies(NAMES, dies()), german, b"x,y,result\n0,0,pass\n1,0,fail\n1,1,pass\n"]


def _read(data: bytes, folder: Path) -> list[str]:
    return refused(table.read(data, folder / "a.csv"))


READER: Final = Reader(_seeds, _read, (WaferFileError,), WORDS)
