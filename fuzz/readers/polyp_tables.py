"""Tables of polyps, as CSV and as .xlsx."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipelines.polyp.data.info import info_of
from pipelines.polyp.data.record import PolypError
from pipelines.polyp.data.tables import read_table

from ..containers import pack
from ..reader import Reader
from . import _xml

WORDS: Final = (
    *(b"polyp", b"size_mm", b"size", b"histology", b"shape", b"site", b"0-Is", b">10", b"5-9 mm", b"3x4"),
    *(b",", b";", b"\t", b'"', b"\0", b"sharedStrings", b"inlineStr", b'r="ZZZ1"', b't="s"', b"row"),
    *(b"c", b"v", b"sheetData"),
    *_xml.WORDS,
)
_MAIN: Final = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_SHEET: Final = (
    b"<worksheet " + _MAIN + b'><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="inlineStr">'
    b'<is><t>size [mm]</t></is></c></row><row><c r="A2"><v>7</v></c><c r="B2"><v>4.5</v></c></row>'
    b"</sheetData></worksheet>"
)
_SHARED: Final = b"<sst " + _MAIN + b"><si><t>polyp</t></si></sst>"


def _seeds() -> list[bytes]:
    header = b"polyp,patient,size_mm,shape,site,histology\n"
    csv = b"p1,1,5,0-Is,sigmoid,adenoma\np2,1,>10,,,\np3,2,3-5,,,SSL\n"
    return [header + csv, pack({"xl/worksheets/sheet1.xml": _SHEET, "xl/sharedStrings.xml": _SHARED})]


def _read(data: bytes, folder: Path) -> list[str]:
    path = folder / ("a.xlsx" if data.startswith(b"PK") else "a.csv")
    path.write_bytes(data)
    rows, notes = read_table(path)
    for row in rows[:50]:
        info_of(row)
    return notes


READER: Final = Reader(_seeds, _read, (PolypError,), WORDS)
