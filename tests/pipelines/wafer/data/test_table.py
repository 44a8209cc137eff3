from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.wafer.data import FailedMap, Limits, WaferFileError, WaferMap, table


def read(text: str) -> list[WaferMap | FailedMap]:
    assert table.looks_like(text.encode()[:65536])
    return list(table.read(text.encode(), Path("defects.csv")))


def read_one(text: str) -> WaferMap:
    (wafer,) = read(text)
    assert isinstance(wafer, WaferMap), wafer
    return wafer


@pytest.mark.parametrize(
    ("header", "scale"),
    [
        ("x,y", 1),
        ("x_mm,y_mm", 1),
        ("X(um),Y(um)", 1000),
        ("X [µm],Y [µm]", 1000),
        ("x_nm,y_nm", 1e6),
        ("XPOS (mm),YPOS (mm)", 1),
        ("wafer_x_um,wafer_y_um", 1000),
        ('"X Coordinate","Y Coordinate"', 1),
        ("X_ABS.mm,Y_ABS.mm", 1),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_units_and_delimiters(header: str, scale: float, delimiter: str) -> None:
    text = f"{header}\n{10 * scale},{-20.5 * scale}\n0,{100 * scale}\n".replace(",", delimiter)
    wafer = read_one(text)
    np.testing.assert_allclose(wafer.defects, [(10, -20.5), (0, 100)])
    assert (wafer.diameter_mm, wafer.diameter_assumed, wafer.die_level) == (300.0, True, False)
    assert wafer.source_rows.tolist() == [0, 1]


@pytest.mark.parametrize(("scale", "unit"), [(1, "mm"), (1e3, "um"), (1e6, "nm")])
def test_a_unit_that_is_not_stated_is_told_by_the_reach(scale: float, unit: str) -> None:
    wafer = read_one(f"x,y\n{120 * scale},0\n")
    np.testing.assert_allclose(wafer.defects, [(120, 0)])
    assert f"the header states no unit: {unit} was taken" in wafer.notes


def test_decimal_commas() -> None:
    np.testing.assert_allclose(read_one("x_mm;y_mm\n1,5;-2,25\n").defects, [(1.5, -2.25)])


def test_columns_in_any_order_and_several_wafers() -> None:
    text = (
        "# exported\n\nid,y_mm,Lot,Wafer ID,slot,x_mm,diameter_mm\n"
        "1,2,A,w1,5,1,200\n2,4,A,w2,6,3,300\n3,6,A,w1,5,5,200\n"
    )
    first, second = read(text)
    assert isinstance(first, WaferMap)
    assert isinstance(second, WaferMap)
    assert (first.lot, first.wafer, first.slot, first.diameter_mm) == ("A", "w1", "5", 200.0)
    assert (second.wafer, second.position, second.diameter_mm) == ("w2", 1, 300.0)
    np.testing.assert_allclose(first.defects, [(1, 2), (5, 6)])
    assert first.source_rows.tolist() == [0, 2]
    assert second.source_rows.tolist() == [1]


def test_one_bad_wafer_of_two() -> None:
    good, bad = read("x_mm,y_mm,wafer\n1,2,a\ninf,2,b\n")
    assert isinstance(good, WaferMap)
    assert bad == FailedMap(Path("defects.csv"), 1, "a defect position is not a finite number")


def test_rows_without_a_position_are_left_out_and_counted() -> None:
    wafer = read_one("x_mm,y_mm\n1,2\n,3\nNA,4\nnan,1\n5,6\n")
    assert wafer.source_rows.tolist() == [0, 4]
    assert wafer.notes == ("3 rows without a position were left out",)


def test_defects_outside_the_wafer_are_noted() -> None:
    wafer = read_one("x_mm,y_mm\n0,0\n140,140\n")
    assert wafer.notes == ("1 defects lie outside a wafer of 300 mm",)


@pytest.mark.parametrize(
    "header", ["die_x,die_y,bin", "X_COORD,Y_COORD,HARD_BIN", "x,y,bin", "XINDEX,YINDEX,pass_fail"]
)
def test_dies_by_number_with_y_upwards(header: str) -> None:
    # A die that is tested twice counts as in its last test.
    wafer = read_one(f"{header}\n-1,0,1\n0,0,2\n1,0,1\n0,1,3\n0,0,1\n")
    assert wafer.die_level
    assert wafer.dies is not None
    assert wafer.dies.status.tolist() == [[0, 2, 0], [1, 1, 1]]
    assert wafer.source_rows.tolist() == [3]


def test_bins_of_defects_do_not_make_them_dies() -> None:
    wafer = read_one("x,y,bin\n1.5,2,7\n3,4,1\n")
    assert not wafer.die_level
    np.testing.assert_allclose(wafer.defects, [(1.5, 2), (3, 4)])


def test_dies_by_row_and_column_count_from_the_top() -> None:
    wafer = read_one("row,col,result\n0,0,pass\n1,0,FAIL\n1,1,Pass\n")
    assert wafer.dies is not None
    assert wafer.dies.status.tolist() == [[1, 0], [2, 1]]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "a,b\n1,2\n",
        "1,2\n3,4\n",
        "source,map,label\nf,0,ring\n",
        "x\n1\n",
        "max,may\n1,2\n",
        "x y\n1 2\n",
    ],
)
def test_other_tables_are_not_taken(text: str) -> None:
    assert not table.looks_like(text.encode())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x_mm,y_um\n1,2\n", "different units"),
        ("x,y\n", "no rows"),
        ("x,y\n1\n", "row 1 has 1 cells; 2 are needed"),
        ("x,y\n1,2\n1,abc\n", "must be a number, not 'abc'"),
        ('x,y\n1,2\n1,"abc\n', "must be a number"),
        ("x,y," + "c," * 2000 + "\n1,2\n", "more than 1000 columns"),
        ("die_x,die_y,bin\n0.5,1,1\n", "whole numbers"),
        ("die_x,die_y,bin\n0,0,1\n90000,90000,1\n", "at most"),
        ("die_x,die_y,bin\ninf,0,1\n", "whole numbers"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    try:
        (failed,) = read(text)
        assert isinstance(failed, FailedMap)
        message = failed.error
    except WaferFileError as error:
        message = str(error)
    assert words in message


def test_limit_on_rows_counts_rows_and_not_lines() -> None:
    text = "# a comment\n\nx_mm,y_mm\n\n1,2\n\n3,4\n"
    (wafer,) = table.read(text.encode(), Path("defects.csv"), Limits(max_defects=2))
    assert isinstance(wafer, WaferMap) and len(wafer.defects) == 2
    with pytest.raises(WaferFileError, match=r"more than 1 rows.*raise the limit with --set max_defects=N"):
        list(table.read(text.encode(), Path("defects.csv"), Limits(max_defects=1)))


def test_rows_may_be_more_than_the_lines_of_other_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_LINES", 5)
    text = "x_mm,y_mm\n" + "1,2\n" * 20
    (wafer,) = table.read(text.encode(), Path("defects.csv"), Limits(max_defects=20))
    assert isinstance(wafer, WaferMap) and len(wafer.defects) == 20
    with pytest.raises(WaferFileError, match="more than 25 lines"):
        list(table.read((text + "\n" * 20).encode(), Path("defects.csv"), Limits(max_defects=20)))


def test_a_hundred_thousand_rows() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-100, 100, (100_000, 2))
    text = "x_mm,y_mm\n" + "\n".join(f"{x:.4f},{y:.4f}" for x, y in points)
    wafer = read_one(text)
    np.testing.assert_allclose(wafer.defects, points, atol=1e-4)
