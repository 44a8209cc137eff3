from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from pipelines.wafer.data.klarf import looks_like
from pipelines.wafer.data.record import FailedMap, WaferFileError, WaferMap
from tests.pipelines.wafer.data.klarf.samples import (
    END_12,
    HEADER_12,
    KLARF_12,
    PLACES,
    ROWS_12,
    SPEC_12,
    TAIL_12,
    WAFER_12,
    fail_one,
    read_one,
    read_text,
)

IMAGES = "DefectRecordSpec 7 DEFECTID XREL YREL XINDEX YINDEX IMAGECOUNT IMAGELIST ;\n"


def with_rows(rows: str, spec: str = SPEC_12) -> str:
    return HEADER_12 + WAFER_12 + spec + rows + TAIL_12 + END_12


def test_everything_a_plain_file_says() -> None:
    one = read_one(KLARF_12)
    assert one.defects == pytest.approx(np.array(PLACES))
    assert one.defects.dtype == np.float64 and one.source_rows.dtype == np.int64
    assert (one.lot, one.wafer, one.slot, one.step, one.device) == ("L1", "W1", "3", "Step", "Dev")
    assert one.tool == "Maker Model 7"
    assert one.timestamp == datetime(2024, 1, 2, 3, 4, 5)
    assert (one.diameter_mm, one.diameter_assumed, one.die_pitch_mm) == (200.0, False, (10.0, 20.0))
    assert (one.notch, one.die_level, one.dies, one.notes) == ("down", False, None, ())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names in any case", KLARF_12.replace("DefectList", "DEFECTLIST").replace("DiePitch", "diepitch")),
        ("a byte order mark", "\ufeff" + KLARF_12),
        ("windows line ends", KLARF_12.replace("\n", "\r\n")),
        ("version 1.1", KLARF_12.replace("FileVersion 1 2", "FileVersion 1 1")),
        ("the last ; on a line of its own", KLARF_12.replace("-1 -1 0 0;", "-1 -1 0 0\n;")),
        (
            "a ; after every row",
            KLARF_12.replace("0 0 0 0\n", "0 0 0 0;\n").replace("1 1 0 0\n", "1 1 0 0 ;\n"),
        ),
        ("rows on one line", with_rows(ROWS_12.replace("\n", " ") + "\n")),
        (
            "rows broken over lines",
            KLARF_12.replace(" 0 0 0 0", " 0\n   0 0 0").replace(" 1 1 0 0", " 1 1\n 0 0"),
        ),
        ("the ; of the list is missing", KLARF_12.replace("-1 -1 0 0;", "-1 -1 0 0")),
        ("no blank before a number's ;", KLARF_12.replace("2.0e+004;", "2.0e+004 ;")),
        ("a summary without end", KLARF_12.replace("SummaryList\n 1 3 0 0 0;", "")),
        ("a stray quote in a name", KLARF_12.replace('"L1"', '"L1')),
        ("a wafer named twice", KLARF_12.replace(WAFER_12, WAFER_12 + 'WaferID "W1";\n')),
        ("a header record given twice", KLARF_12.replace("StepID", 'StepID "Old";\nStepID')),
        ("an unknown record", KLARF_12.replace("DieOrigin", 'Odd "a;b" 1\n 2;\nDieOrigin')),
        (
            "image names within the list",
            KLARF_12.replace(" 2 2000.0", 'FILENAME "a b.tif"\n 2 2000.0').replace(
                " 3 2", "FileName c.tif;\n 3 2"
            ),
        ),
        (
            "one list a defect",
            KLARF_12.replace("0 0 0 0\n", "0 0 0 0;\nTiffFileName a.jpg;\nDefectList\n").replace(
                "1 1 0 0\n", "1 1 0 0;\n \nDefectList\n"
            ),
        ),
        (
            "an empty list first",
            KLARF_12.replace("DefectList\n", "DefectList;\nTiffFileName a;\nDefectList\n"),
        ),
        (
            "columns in another order, with text and NA",
            with_rows(
                'DefectList\n "big one" 0 0 NA 2000.0 1000.0 1\n two 1 1 7 4.0e+003 2.0e+003 2\n'
                ' "" -1 -1 x 2000 2000 3;\n',
                "DefectRecordSpec 7 NOTE XINDEX YINDEX SCORE YREL XREL DEFECTID;\n",
            ),
        ),
        (
            "image lists, also on the next line",
            with_rows(
                "DefectList\n 1 1000 2000 0 0 2 2 1 0 2 0\n 2 2000 4000 1 1 1 1\n 39 1\n"
                " 3 2000 2000 -1 -1 0 0;\n",
                IMAGES,
            ),
        ),
        (
            "an image list before the positions",
            with_rows(
                "DefectList\n 1 1 5 0 1000 2000 0 0\n 2 0 2000 4000 1 1\n 3 2 1 1 2 2 2000 2000 -1 -1;\n",
                "DefectRecordSpec 6 DEFECTID IMAGELIST XREL YREL XINDEX YINDEX;\n",
            ),
        ),
    ],
)
def test_dialects_that_mean_the_same(name: str, text: str) -> None:
    assert looks_like(text.encode()), name
    one = read_one(text)
    assert one.defects == pytest.approx(np.array(PLACES)), name
    assert one.source_rows.tolist() == [0, 1, 2]
    assert (one.lot, one.wafer, one.step) == ("L1", "W1", "Step")


def test_wafers_inherit_what_is_not_stated_anew() -> None:
    second = 'WaferID "W2";\nSampleCenterLocation 0 0;\nDefectList\n 1 0 0 1 0 0 0;\n' + TAIL_12
    one, two = read_text(KLARF_12.replace(END_12, second + END_12))
    assert isinstance(one, WaferMap) and isinstance(two, WaferMap)
    assert (two.lot, two.wafer, two.slot, two.step, two.position) == ("L1", "W2", "", "Step", 1)
    assert two.defects.tolist() == [[10.0, 0.0]]
    assert one.defects == pytest.approx(np.array(PLACES))


def test_a_slot_may_open_the_next_wafer() -> None:
    body = KLARF_12.replace(WAFER_12, 'Slot 1;\nWaferID "A";\nSampleCenterLocation 0 0;\n')
    one, two = read_text(body.replace(END_12, 'Slot 2;\nWaferID "B";\n' + SPEC_12 + ROWS_12 + END_12))
    assert isinstance(one, WaferMap) and isinstance(two, WaferMap)
    assert [(one.wafer, one.slot), (two.wafer, two.slot)] == [("A", "1"), ("B", "2")]


def test_files_joined_end_to_end() -> None:
    maps = read_text(KLARF_12 + KLARF_12.replace('"W1"', '"W2"').replace("StepID", "Odd"))
    assert [(one.wafer, one.step) for one in maps if isinstance(one, WaferMap)] == [
        ("W1", "Step"),
        ("W2", ""),
    ]


def test_text_after_the_end_is_left_out() -> None:
    assert len(read_text(KLARF_12 + "junk 1 2 3;\nDefectList\n 1 2;\n")) == 1


def test_one_bad_wafer_leaves_the_others() -> None:
    bad = WAFER_12.replace("W1", "W2") + SPEC_12 + ROWS_12.replace("2000.0 4000.0", "2000.0") + TAIL_12
    good = WAFER_12.replace("W1", "W3") + SPEC_12 + ROWS_12 + TAIL_12
    one, two, three = read_text(KLARF_12.replace(END_12, bad + good + END_12))
    assert isinstance(one, WaferMap) and isinstance(three, WaferMap)
    assert isinstance(two, FailedMap)
    assert (
        two.error
        == "wafer 'W2': row 2 of the defect list holds 6 values where DefectRecordSpec names 7 columns"
    )
    assert (two.position, three.position, three.wafer) == (1, 2, "W3")


def test_a_wafer_cut_in_its_list_fails_and_the_one_before_is_kept() -> None:
    text = KLARF_12.replace(END_12, WAFER_12.replace("W1", "W2") + SPEC_12 + "DefectList\n 1 1000 20")
    one, two = read_text(text)
    assert isinstance(one, WaferMap) and not one.notes
    assert isinstance(two, FailedMap)
    assert two.error == "wafer 'W2': the file ends in the middle of the defect list"


def test_a_file_cut_after_its_list_is_kept_with_a_note() -> None:
    one = read_one(KLARF_12.replace(END_12, ""))
    assert any("no EndOfFile" in note for note in one.notes)


def test_an_empty_list_is_an_empty_wafer() -> None:
    one = read_one(with_rows("DefectList;\n").replace(" 1 3 0 0 0;", " 1 0 0 0 0;"))
    assert one.defects.shape == (0, 2) and one.notes == ()


def test_a_summary_of_no_defects_stands_for_a_list() -> None:
    one = read_one(with_rows("").replace(" 1 3 0 0 0;", " 1 0 0 0 0;"))
    assert one.defects.shape == (0, 2)
    assert "no DefectList" in one.notes[0]


def test_counts_that_disagree_are_noted() -> None:
    one = read_one(KLARF_12.replace(" 1 3 0 0 0;", " 1 4 0 0 0\n 2 5 0 0 0;").replace("Spec 7 D", "Spec 8 D"))
    assert one.notes == (
        "DefectRecordSpec announces 8 columns and names 7",
        "the file's summary counts 9 defects, its list holds 3",
    )


def test_positions_that_are_na_are_left_out() -> None:
    one = read_one(KLARF_12.replace("2000.0 4000.0", "NA NA"))
    assert one.defects == pytest.approx(np.array([PLACES[0], PLACES[2]]))
    assert one.source_rows.tolist() == [0, 2]
    assert one.unplaced == 1
    assert "defects without a position, left out: 1" in one.notes


@pytest.mark.parametrize(
    "data",
    [
        KLARF_12.replace("XREL YREL", "A B"),
        KLARF_12.replace("YREL", "B"),
        KLARF_12.replace("2000.0 4000.0", "NA NA").replace("1000.0 2000.0", "NA NA"),
    ],
    ids=["no positions named", "only one coordinate", "some positions NA"],
)
def test_a_map_is_locatable_while_one_defect_has_a_position(data: str) -> None:
    one = read_one(data)
    assert len(one.defects) + one.unplaced == 3
    assert one.locatable == bool(len(one.defects))


def test_names_that_are_not_utf_8() -> None:
    assert read_one(KLARF_12.replace('"L1"', '"Größe"').encode("latin-1")).lot == "Größe"
    assert read_one(KLARF_12.replace('"L1"', '"Größe"').encode()).lot == "Größe"


def test_a_file_without_a_wafer() -> None:
    with pytest.raises(WaferFileError, match="holds no wafer"):
        read_text("FileVersion 1 2;\nEndOfFile;\n")


def test_a_list_without_columns() -> None:
    assert "no DefectRecordSpec" in fail_one(KLARF_12.replace(SPEC_12, ""))


@pytest.mark.parametrize(
    "head", [b"", b"PK\x03\x04", b"x,y\n1,2\n", b"FileVersionX 1", b"Record\n", b"\x00" * 100]
)
def test_what_is_no_klarf(head: bytes) -> None:
    assert not looks_like(head)
