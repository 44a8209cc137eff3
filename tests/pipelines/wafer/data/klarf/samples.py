"""Small KLARF files for the tests, and a short way to read them."""

from __future__ import annotations

from pathlib import Path

from pipelines.wafer.data.klarf import read
from pipelines.wafer.data.record import FailedMap, WaferMap

SOURCE = Path("some.klarf")

HEADER_12 = """FileVersion 1 2;
FileTimestamp 01-02-24 03:04:05;
InspectionStationID "Maker" "Model" "7";
SampleType WAFER;
ResultTimestamp 01-02-24 03:04:05;
LotID "L1";
SampleSize 1 200;
DeviceID "Dev";
SetupID "S" 01-02-24 03:04:05;
StepID "Step";
SampleOrientationMarkType NOTCH;
OrientationMarkLocation DOWN;
DiePitch 1.0e+004 2.0e+004;
DieOrigin 0.0e+000 0.0e+000;
"""
WAFER_12 = """WaferID "W1";
Slot 3;
SampleCenterLocation 5.0e+003 1.0e+004;
"""
SPEC_12 = "DefectRecordSpec 7 DEFECTID XREL YREL XINDEX YINDEX CLASSNUMBER IMAGECOUNT ;\n"
# Die (0, 0) spans -5 to 5 and -10 to 10 mm, so these lie at (-4, -8), (7, 14) and (-13, -28) mm.
ROWS_12 = """DefectList
 1 1000.0 2000.0 0 0 0 0
 2 2000.0 4000.0 1 1 0 0
 3 2000.0 2000.0 -1 -1 0 0;
"""
TAIL_12 = """SummarySpec 5 TESTNO NDEFECT DEFDENSITY NDIE NDEFDIE ;
SummaryList
 1 3 0 0 0;
"""
END_12 = "EndOfFile;\n"
KLARF_12 = HEADER_12 + WAFER_12 + SPEC_12 + ROWS_12 + TAIL_12 + END_12
PLACES = [[-4.0, -8.0], [7.0, 14.0], [-13.0, -28.0]]

LOT_18 = """
    Field DeviceID 1 {"Dev"}
    Field StepID 1 {"Step"}
    Field InspectionStationID 3 {"Maker", "Model", "7"}
    Field ResultTimestamp 2 {"01-02-2024", "03:04:05"}
    Field SampleSize 2 {200000000, 0}
    Field OrientationMarkLocation 1 {0}
    Field DiePitch 2 {10000000, 20000000}
"""
WAFER_18 = """
    Record WaferRecord "W1"
    {
      Field SlotNumber 1 {3}
      Field SampleCenterLocation 2 {5000000, 10000000}
      List DefectList
      {
        Columns 6 { int32 DEFECTID, int32 XREL, int32 YREL, int32 XINDEX, int32 YINDEX, ImageList IMAGEINFO }
        Data 3
        {
          1 1000000 2000000 0 0 N ;
          2 2000000 4000000 1 1 Images 2 { "a;b.jpg" "JPG" 1 "P", "c}.jpg" "JPG" 1 "P" };
          3 2000000 2000000 -1
            -1 0;
        }
      }
      Record TestRecord "1"
      {
        List SampleTestPlanList { Columns 2 { int32 XINDEX, int32 YINDEX } Data 3 { 0 0; 1 1; 2 0; } }
      }
    }
"""


def file_18(*parts: str) -> str:
    """A 1.8 file whose lot holds these parts."""
    body = "".join(parts)
    return f'Record FileRecord "1.8"\n{{\n  Record LotRecord "L1"\n  {{{body}  }}\n}}\nEndOfFile;\n'


KLARF_18 = file_18(LOT_18, WAFER_18)


def read_text(text: str | bytes) -> list[WaferMap | FailedMap]:
    return list(read(text.encode() if isinstance(text, str) else text, SOURCE))


def read_one(text: str | bytes) -> WaferMap:
    (one,) = read_text(text)
    assert isinstance(one, WaferMap), one
    return one


def fail_one(text: str | bytes) -> str:
    (one,) = read_text(text)
    assert isinstance(one, FailedMap), one
    return one.error
