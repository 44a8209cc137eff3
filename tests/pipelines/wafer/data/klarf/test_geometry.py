from __future__ import annotations

import numpy as np
import pytest

from tests.pipelines.wafer.data.klarf.samples import (
    END_12,
    HEADER_12,
    KLARF_12,
    PLACES,
    SPEC_12,
    WAFER_12,
    fail_one,
    read_one,
)

PLAN = "SampleTestPlan 4\n -1 -1\n 0 0\n 1 1\n 1 0;\n"
WITH_PLAN = KLARF_12.replace(SPEC_12, PLAN + SPEC_12)
WITHOUT_GEOMETRY = """FileVersion 1 2;
WaferID "1";
DefectRecordSpec 3 DEFECTID COLUMNS;
DefectList
 1 1000 -2000;
EndOfFile;
"""
TURNED = {
    "DOWN": PLACES,
    "UP": [[-x, -y] for x, y in PLACES],
    # The mark at the left comes down by a quarter turn counterclockwise.
    "LEFT": [[-y, x] for x, y in PLACES],
    "RIGHT": [[y, -x] for x, y in PLACES],
}


@pytest.mark.parametrize("mark", TURNED)
def test_the_mark_is_turned_down(mark: str) -> None:
    one = read_one(WITH_PLAN.replace("Location DOWN", f"Location {mark}"))
    assert one.defects == pytest.approx(np.array(TURNED[mark]))
    assert one.notch == mark.lower()
    assert one.die_pitch_mm == ((10.0, 20.0) if mark in ("DOWN", "UP") else (20.0, 10.0))
    assert one.dies is not None
    assert one.dies.pitch_mm == one.die_pitch_mm


@pytest.mark.parametrize("mark", TURNED)
@pytest.mark.parametrize("mirrored", ["YES", "NO"])
def test_every_defect_lies_in_a_failing_die(mark: str, mirrored: str) -> None:
    text = WITH_PLAN.replace("Location DOWN", f"Location {mark}").replace(
        "DieOrigin", f"CoordinatesMirrored {mirrored};\nDieOrigin"
    )
    one = read_one(text)
    assert one.dies is not None
    failing = one.dies.positions_mm(np.flatnonzero(one.dies.status == 2))
    assert len(failing) == 3
    half = np.array(one.dies.pitch_mm) / 2
    inside = (np.abs(one.defects[:, None] - failing[None]) <= half).all(axis=2)
    assert (inside.sum(axis=1) == 1).all() and (inside.sum(axis=0) == 1).all()
    assert int((one.dies.status == 1).sum()) == 1


def test_degrees_count_clockwise_from_the_bottom() -> None:
    for degrees, mark in ((0, "down"), (90, "left"), (180, "up"), (270, "right")):
        one = read_one(KLARF_12.replace("Location DOWN", f"Location {degrees}"))
        assert one.notch == mark
        assert bool(one.notes) == (degrees in (90, 270))


def test_a_mirrored_map_is_mirrored_back_and_the_mark_stays() -> None:
    one = read_one(KLARF_12.replace("DieOrigin", "CoordinatesMirrored YES;\nDieOrigin"))
    assert one.defects == pytest.approx(np.array([[-x, y] for x, y in PLACES]))
    left = read_one(
        KLARF_12.replace("DieOrigin", "CoordinatesMirrored YES;\nDieOrigin").replace("DOWN", "LEFT")
    )
    assert left.defects == pytest.approx(np.array([[y, x] for x, y in PLACES]))


def test_a_back_side_is_left_as_the_tool_states_it() -> None:
    side = 'OrientationInstructions "Back";\nCoordinatesMirrored YES;\nDieOrigin'
    one = read_one(KLARF_12.replace("DieOrigin", side))
    assert one.defects == pytest.approx(np.array(PLACES))
    assert "back side" in one.notes[0]


def test_inspected_dies() -> None:
    one = read_one(WITH_PLAN)
    assert one.dies is not None
    assert one.dies.status.tolist() == [[0, 0, 2], [0, 2, 1], [2, 0, 0]]
    assert one.dies.status.dtype == np.uint8
    assert one.dies.pitch_mm == (10.0, 20.0)
    # The centre of die (-1, 1).
    assert one.dies.origin_mm == pytest.approx((-10.0, 20.0))


def test_plans_of_several_tests_are_one_and_removed_dies_are_not_inspected() -> None:
    second = "InspectionTest 2;\nSampleTestPlan 2\n 5 0\n 6 0;\nRemovedDieList 1\n 6 0;\n"
    one = read_one(WITH_PLAN.replace(SPEC_12, second + SPEC_12))
    assert one.dies is not None
    assert one.dies.status.shape == (3, 7)
    assert one.dies.status[1].tolist() == [0, 2, 1, 0, 0, 0, 1]


def test_plan_rows_that_each_end_with_a_semicolon() -> None:
    one = read_one(KLARF_12.replace(SPEC_12, "SampleTestPlan 2\n 0 0;\n 1 0;\n" + SPEC_12))
    assert one.dies is not None
    assert int((one.dies.status == 1).sum()) == 1


def test_the_die_origin_moves_the_dies_and_not_the_defects() -> None:
    one = read_one(WITH_PLAN.replace("DieOrigin 0.0e+000 0.0e+000", "DieOrigin 1000 2000"))
    assert one.dies is not None
    assert one.dies.origin_mm == pytest.approx((-11.0, 18.0))
    assert one.defects == pytest.approx(np.array(PLACES))


def test_positions_from_x_and_y_where_there_is_no_geometry() -> None:
    one = read_one(WITHOUT_GEOMETRY.replace("COLUMNS", "X Y"))
    assert one.defects.tolist() == [[1.0, -2.0]]
    assert one.diameter_assumed
    assert any("columns X and Y" in note for note in one.notes)


def test_positions_from_xrel_alone() -> None:
    one = read_one(WITHOUT_GEOMETRY.replace("COLUMNS", "XREL YREL"))
    assert one.defects.tolist() == [[1.0, -2.0]]
    assert "SampleCenterLocation is not stated and was taken as 0 0" in one.notes
    assert any("name no dies" in note for note in one.notes)


def test_dies_without_a_pitch_cannot_be_placed() -> None:
    for pitch in ("DiePitch 0 0;", ""):
        assert "DiePitch is missing or zero" in fail_one(
            KLARF_12.replace("DiePitch 1.0e+004 2.0e+004;", pitch)
        )


def test_die_zero_needs_no_pitch() -> None:
    text = HEADER_12 + WAFER_12 + SPEC_12 + "DefectList\n 1 1000 2000 0 0 0 0;\n" + END_12
    assert read_one(text.replace("DiePitch 1.0e+004 2.0e+004;", "")).defects.tolist() == [[-4.0, -8.0]]


def test_defects_beyond_the_edge_are_noted_and_far_ones_fail() -> None:
    one = read_one(KLARF_12.replace("2000.0 4000.0 1 1", "2000.0 4000.0 11 1"))
    assert one.notes == ("1 of 3 defects lie outside the wafer's edge, up to 107.9 mm from its centre",)
    assert "cannot be right" in fail_one(KLARF_12.replace("2000.0 4000.0 1 1", "2000.0 4000.0 1000 1"))
    # Positions in nm in a file of um.
    assert "its units" in fail_one(KLARF_12.replace("2000.0 4000.0", "2000000000.0 4000.0"))


def test_a_plan_beyond_all_measure_is_left_out() -> None:
    one = read_one(WITH_PLAN.replace(" 1 0;\n", " 999999 999999;\n"))
    assert one.dies is None
    assert any("it was left out" in note for note in one.notes)


@pytest.mark.parametrize(
    ("size", "diameter", "assumed"),
    [
        ("1 150", 150.0, False),
        ("300", 300.0, False),
        ("2 200 200", 200.0, False),
        ("1 0", 300.0, True),
        ("", 300.0, True),
    ],
)
def test_sizes(size: str, diameter: float, assumed: bool) -> None:
    one = read_one(KLARF_12.replace("SampleSize 1 200;", f"SampleSize {size};"))
    assert (one.diameter_mm, one.diameter_assumed) == (diameter, assumed)
