"""KLARF 1.1, 1.2 and 1.8."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipelines.wafer.data import klarf
from pipelines.wafer.data.record import WaferFileError
from pipelines.wafer.generate.files import klarf_1_1
from pipelines.wafer.generate.samples import klarf_file

from ..reader import Reader
from ._wafers import defects, refused


def _seeds() -> list[bytes]:
    names, points, diameter = defects()
    drawn = [(names, points, diameter)]
    return [
        klarf_1_1([(names, points, 100.0)], "left"),
        _with_images(),
        klarf_file(drawn, "1.2"),
        klarf_file(drawn, "1.8"),
    ]


def _with_images() -> bytes:
    return (
        b'FileVersion 1 2;\nSampleSize 1 200;\nLotID "L";\nDiePitch 4000 4000;\nOrientationMarkLocation UP;\n'
        b"CoordinatesMirrored YES;\nCoordinatesCentered NO;\nDieOrigin 10 20;\nSampleCenterLocation 0 0;\n"
        b'WaferID "1";\nDefectRecordSpec 7 DEFECTID XREL YREL XINDEX YINDEX IMAGECOUNT IMAGELIST;\n'
        b"TiffFileName a.tif;\nDefectList\n 1 1.5 2.5 0 1 2 2 1 0 2 0\n 2 -3 4 NA 1 0 0;\n"
        b"SummarySpec 2 TESTNO NDEFECT;\nSummaryList\n 1 2;\nEndOfFile;\n"
    )


WORDS: Final = (
    *(b"FileVersion", b"FileRecord", b"LotRecord", b"WaferRecord", b"Record", b"Field", b"List"),
    *(b"Columns", b"Data", b"DefectList", b"DefectRecordSpec", b"SampleSize", b"DiePitch", b"DieOrigin"),
    *(b"WaferID", b"SampleCenterLocation", b"OrientationMarkLocation", b"SampleTestPlan"),
    *(b"InspectedAreaOrigin", b"SummarySpec", b"SummaryList", b"NDEFECT", b"XREL", b"YREL", b"XINDEX"),
    *(b"YINDEX", b"X", b"Y", b"IMAGELIST", b"IMAGECOUNT", b"Images", b"DOWN", b"LEFT", b"NA", b"N"),
    *(b"EndOfFile;", b'"', b";", b"{", b"}", b"int32", b"float", b"TiffFileName", b"CoordinatesMirrored"),
    *(b"YES", b"Slot", b"TestSummaryList"),
)


def _read(data: bytes, folder: Path) -> list[str]:
    return refused(klarf.read(data, folder / "a.klarf"))


READER: Final = Reader(_seeds, _read, (WaferFileError,), WORDS)
