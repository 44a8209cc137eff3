from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from pipelines.wafer.data.klarf import looks_like
from pipelines.wafer.data.record import FailedMap, WaferFileError, WaferMap
from tests.pipelines.wafer.data.klarf.samples import (
    KLARF_18,
    LOT_18,
    PLACES,
    WAFER_18,
    fail_one,
    file_18,
    read_one,
    read_text,
)

CUT = KLARF_18.index("Record TestRecord")


def test_everything_a_plain_file_says() -> None:
    one = read_one(KLARF_18)
    assert one.defects == pytest.approx(np.array(PLACES))
    assert (one.lot, one.wafer, one.slot, one.step, one.device) == ("L1", "W1", "3", "Step", "Dev")
    assert one.tool == "Maker Model 7"
    assert one.timestamp == datetime(2024, 1, 2, 3, 4, 5)
    assert (one.diameter_mm, one.die_pitch_mm, one.notch) == (200.0, (10.0, 20.0), "down")
    assert one.dies is not None
    # The plan names (0, 0), (1, 1) and (2, 0); the die (-1, -1) has a defect all the same.
    assert one.dies.status.tolist() == [[0, 0, 2, 0], [0, 2, 0, 1], [2, 0, 0, 0]]
    assert one.dies.origin_mm == pytest.approx((-10.0, 20.0))
    assert one.notes == ("dies with defects that are not in the test plan, added as inspected: 1",)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("the lot's fields after its wafers", file_18(WAFER_18, LOT_18)),
        ("windows line ends", KLARF_18.replace("\n", "\r\n")),
        ("a byte order mark", "\ufeff" + KLARF_18),
        ("names in any case", KLARF_18.replace("DefectList", "DEFECTLIST").replace("Field", "FIELD")),
        ("no blanks", KLARF_18.replace("{ ", "{").replace(" }", "}").replace(" ;", ";")),
        ("all on one line", KLARF_18.replace("\n", " ")),
        ("a last row without ;", KLARF_18.replace("-1 0;", "-1 0")),
        ("the mark as a word", KLARF_18.replace("Location 1 {0}", 'Location 1 {"DOWN"}')),
        ("no end of file", KLARF_18.replace("EndOfFile;", "")),
    ],
)
def test_dialects_that_mean_the_same(name: str, text: str) -> None:
    assert looks_like(text.encode()), name
    one = read_one(text)
    assert one.defects == pytest.approx(np.array(PLACES)), name
    assert (one.lot, one.wafer) == ("L1", "W1")


def test_counts_that_disagree_are_noted() -> None:
    one = read_one(KLARF_18.replace("Data 3\n", "Data 4\n").replace("Columns 6", "Columns 5"))
    assert len(one.defects) == 3
    assert "DefectList announces 4 rows, and has 3" in one.notes
    assert "DefectList announces 5 columns, and has 6" in one.notes


def test_an_empty_list_is_an_empty_wafer() -> None:
    start, end = KLARF_18.index("1 1000000"), KLARF_18.index("-1 0;") + len("-1 0;")
    one = read_one(KLARF_18[:start] + KLARF_18[end:])
    assert one.defects.shape == (0, 2)
    assert one.dies is not None and one.dies.status.tolist() == [[0, 1, 0], [1, 0, 1]]


def test_one_bad_wafer_leaves_the_others() -> None:
    bad = WAFER_18.replace('"W1"', '"W2"').replace("2000000 4000000", "2000000")
    one, two, three = read_text(file_18(WAFER_18, bad, WAFER_18.replace('"W1"', '"W3"'), LOT_18))
    assert isinstance(one, WaferMap) and isinstance(three, WaferMap)
    assert isinstance(two, FailedMap)
    assert two.error == "wafer 'W2': row 2 of the defect list holds 5 values where 6 columns are named"
    assert [one.position, two.position, three.position] == [0, 1, 2]


def test_a_file_cut_after_the_list_is_kept_with_a_note() -> None:
    one = read_one(KLARF_18[:CUT])
    assert one.defects == pytest.approx(np.array(PLACES))
    assert "the file is cut short: the record 'waferrecord' is not closed" in one.notes


def test_a_file_cut_before_its_lots_fields_cannot_place_its_defects() -> None:
    error = fail_one(file_18(WAFER_18, LOT_18)[:CUT])
    assert error.startswith(
        "wafer 'W1': DiePitch and SampleSize and OrientationMarkLocation of its lot are missing"
    )


def test_a_file_cut_in_its_list_fails() -> None:
    assert "its defect list is not whole" in fail_one(KLARF_18[: KLARF_18.index("3 2000000 2000000")])


def test_the_wafers_before_a_broken_place_are_kept() -> None:
    one, rest = read_text(KLARF_18.replace("EndOfFile", "oops").replace("  }\n}\n", "  oops\n"))
    assert isinstance(one, WaferMap) and isinstance(rest, FailedMap)
    assert "'oops' stands where Record, Field, List or } should; what follows was not read" in rest.error


def test_a_file_without_a_wafer() -> None:
    with pytest.raises(WaferFileError, match="no WaferRecord"):
        read_text(file_18(LOT_18))


def test_a_wafer_without_a_list_fails_unless_its_summary_counts_none() -> None:
    summary = "List TestSummaryList { Columns 1 { int32 NDEFECT } Data 1 { %s; } }"
    wafer = f'Record WaferRecord "W" {{ Record SummaryRecord {{ {summary} }} }}'
    assert "no DefectList" in fail_one(file_18(LOT_18, wafer % "2"))
    assert read_one(file_18(LOT_18, wafer % "0")).defects.shape == (0, 2)
